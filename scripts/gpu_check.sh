#!/usr/bin/env bash
# What needs a CUDA device: the tests marked gpu, and the benchmarks on it, as JSON into a folder.
#   bash scripts/gpu_check.sh experiments/performance
# OPTLAB_PYTHON=/path/to/python uses that interpreter as it is.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/env.sh"
optlab_env dev
cd "$ROOT"

out="${1:-experiments/performance}"
mkdir -p "$out"
python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' ||
    fail "no CUDA device: this script measures nothing without one"

say "tests marked gpu"
python -m pytest -m gpu -p no:cacheprovider

say "single run on CUDA"
python scripts/bench_loop.py --device cuda --out "$out/loop_cuda.json"
say "runs of a sweep on CUDA: 1 to 8192 at once"
python scripts/bench_sweep.py --device cuda --out "$out/sweep_cuda.json"
say "optimizers on CUDA, each against torch's quickest setting"
python scripts/bench_optim.py --device cuda --out "$out/optim_cuda.json"
say "layers on CUDA, each against torch's own"
python scripts/bench_layers.py --device cuda --out "$out/layers_cuda.json"
say "results in $out"
