#!/usr/bin/env bash
# The main job, from a fresh machine: every optimizer of the course notes on handwritten digits, over
# learning rates, activations, initializers and seeds: 384 runs in some 12 seconds on two cores.
# Arguments are further overrides. The same line again does what is left; other overrides need a
# folder of their own, as one folder holds one sweep:
#   bash scripts/demo.sh trainer.epochs=1 sweep.dir=runs/quick
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/env.sh"

still_setting_up() {
    while sleep 20 &>/dev/null; do
        say "still setting up: $SECONDS s (a minute or two with a fast network, torch being large)"
    done
}
still_setting_up &
waiting=$!
trap 'kill "$waiting" 2>/dev/null || true' EXIT
optlab_env run
kill "$waiting"
trap - EXIT

folder=runs/demo
for argument in "$@"; do
    [[ "$argument" != sweep.dir=* ]] || folder="${argument#sweep.dir=}"
done

optlab sweep \
    'optimizer=batch_gd,sgd,minibatch_gd,momentum,nag,adagrad,rmsprop,adam' \
    optimizer.lr=0.001,0.01,0.1,1 activation=relu,tanh init=he_normal,xavier_uniform \
    'seed=range(0,3)' task=digits trainer.epochs=10 "sweep.dir=$folder" "$@"

[[ -n "${VIRTUAL_ENV:-${CONDA_PREFIX:-}}" ]] ||
    say "activate:  source '$(dirname -- "$OPTLAB_PYTHON")/activate' (puts optlab on PATH)"
say "runs:      one folder each in $folder: config.yaml and result.json"
say "table:     every logged value of all runs in $folder/metrics (parquet)"
say "curves:    optlab board '$folder'"
say "report:    $folder/report.html; optlab report '$folder' adds every figure and table as a file"
