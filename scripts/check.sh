#!/usr/bin/env bash
# Format, lint, types and import layers. Takes seconds and runs no test.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/env.sh"
optlab_env dev
cd "$ROOT"

say "format and lint"
ruff format --check .
ruff check .

say "types"
mypy

say "import layers"
lint-imports --no-logo
