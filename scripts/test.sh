#!/usr/bin/env bash
# Every check of the project: format, lint, types, layers, tests, and a wheel run outside the
# checkout. Sets up its own environment. Arguments go to pytest, with paths from the project's root:
#   bash scripts/test.sh tests/optim -k adam
#   bash scripts/test.sh -m ''                 # the slow tests too
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/env.sh"
optlab_env dev
cd "$ROOT"

bash scripts/check.sh

source "$ROOT/scripts/browser.sh"
optlab_browser

say "tests"
export OMP_NUM_THREADS=1 # one process per core, one thread per process
python -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal --durations 10 "$@"

bash scripts/check_wheel.sh
say "all checks passed"
