#!/usr/bin/env bash
# The main job, from a fresh machine: every optimizer of the course notes on handwritten digits, over
# learning rates and seeds. Arguments are further overrides: bash scripts/demo.sh trainer.epochs=1
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/env.sh"
optlab_env run

folder=runs/demo
for argument in "$@"; do
    [[ "$argument" != sweep.dir=* ]] || folder="${argument#sweep.dir=}"
done

optlab sweep \
    'optimizer=batch_gd,sgd,minibatch_gd,momentum,nag,adagrad,rmsprop,adam' \
    optimizer.lr=0.001,0.01,0.1 'seed=range(0,3)' \
    task=digits trainer.epochs=10 "sweep.dir=$folder" "$@"

say "ranking:   $folder/report.csv and $folder/report.png (again: optlab report $folder)"
say "runs:      one folder each in $folder: config.yaml, result.json, metrics.parquet"
say "curves:    tensorboard --logdir $folder"
[[ -n "${VIRTUAL_ENV:-${CONDA_PREFIX:-}}" ]] ||
    say "activate:  source '$(dirname -- "$OPTLAB_PYTHON")/activate' (puts optlab on PATH)"
