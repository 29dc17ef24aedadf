#!/usr/bin/env bash
# Builds the wheel from the source distribution, installs it in a scratch environment and runs it
# outside the checkout, so that a file missing from either is found.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/env.sh"
optlab_env dev

scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

say "building the wheel"
python -m build --no-isolation --outdir "$scratch/dist" "$ROOT" >"$scratch/build.log" 2>&1 ||
    { cat "$scratch/build.log" >&2; fail "the wheel could not be built"; }

say "installing it in a scratch environment"
python -m venv --without-pip "$scratch/env"
python -m pip --python "$scratch/env/bin/python" install --quiet --disable-pip-version-check \
    --no-deps "$scratch"/dist/*.whl
# A path file lends the dependencies. Path files inside the folder it names are not read, so an
# editable install of optlab there stays unseen.
python - "$scratch/env" <<'PYTHON'
import pathlib, sys, sysconfig

target = sysconfig.get_path("purelib", vars={"base": sys.argv[1]})
lent = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
pathlib.Path(target, "lent.pth").write_text("\n".join(sorted(lent)))
PYTHON

say "running it outside the checkout"
mkdir "$scratch/work" && cd "$scratch/work"
unset PYTHONPATH
"$scratch/env/bin/python" - "$scratch/env" <<'PYTHON'
import pathlib, sys
import optlab, optlab.configs

for module in (optlab, optlab.configs):
    assert pathlib.Path(sys.argv[1]).resolve() in pathlib.Path(module.__file__).resolve().parents, (
        f"{module.__name__} came from {module.__file__}, not from the wheel"
    )
PYTHON
"$scratch/env/bin/optlab" list optimizers
"$scratch/env/bin/optlab" train task=xor trainer.epochs=2
