# shellcheck shell=bash
# Sourced by the other scripts: `optlab_env run` or `optlab_env dev` makes sure that optlab is
# installed (dev: with the tools of scripts/test.sh) and puts its Python first on PATH.
#
# It installs into the active environment (VIRTUAL_ENV or CONDA_PREFIX), where it keeps the versions
# it finds, or else into `.venv` beside pyproject.toml, with the versions of constraints.txt.
# OPTLAB_PYTHON=/path/to/python names an interpreter that has everything: nothing is installed.

ROOT="$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"

say() { printf '[optlab] %s\n' "$*" >&2; }

fail() {
    say "$*"
    exit 1
}

optlab_env() {
    if [[ -z "${OPTLAB_PYTHON:-}" ]]; then
        OPTLAB_PYTHON="$(active_python)" || OPTLAB_PYTHON="$(own_python)" || exit 1
        install_if_needed "$1"
    fi
    export OPTLAB_PYTHON
    PATH="$(dirname -- "$OPTLAB_PYTHON"):$PATH"
}

supported() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

active_python() {
    local prefix="${VIRTUAL_ENV:-${CONDA_PREFIX:-}}"
    [[ -n "$prefix" ]] || return 1
    if ! supported "$prefix/bin/python"; then
        say "the active environment $prefix has no Python 3.11 to 3.13; using $ROOT/.venv instead"
        return 1
    fi
    say "using the active environment $prefix"
    echo "$prefix/bin/python"
}

own_python() {
    supported "$ROOT/.venv/bin/python" || make_venv || return 1
    echo "$ROOT/.venv/bin/python"
}

find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11 python; do
        if supported "$candidate"; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    fail "optlab needs Python 3.11, 3.12 or 3.13, and PATH has none: install one and run this again"
}

make_venv() {
    local python
    python="$(find_python)" || return 1
    say "making $ROOT/.venv with $("$python" --version)"
    "$python" -m venv --clear "$ROOT/.venv" &>/dev/null || make_venv_with_pip "$python"
}

# Some systems ship Python without the parts that `venv` needs; virtualenv brings them along.
make_venv_with_pip() {
    local tool status=0
    tool="$(mktemp -d)"
    "$1" -m pip install -qq --target "$tool" virtualenv &&
        PYTHONPATH="$tool" "$1" -m virtualenv --quiet --clear "$ROOT/.venv" || status=1
    rm -rf "$tool"
    ((status == 0)) || fail "$1 cannot make a virtual environment: install its 'venv' package" \
        "(python3-venv on Debian and Ubuntu), or activate an environment and run this again"
}

# A stamp in the environment holds a hash of what was installed, so that a second run does nothing.
install_if_needed() {
    local extra="$1" prefix stamp
    prefix="$("$OPTLAB_PYTHON" -c 'import sys; print(sys.prefix)')"
    stamp="$(stamp)"
    if [[ "$(cat "$prefix/.optlab-$extra" "$prefix/.optlab-dev" 2>/dev/null)" != *"$stamp"* ]]; then
        install "$extra" "$prefix"
        echo "$stamp" >"$prefix/.optlab-$extra"
    fi
}

stamp() {
    "$OPTLAB_PYTHON" - "$ROOT" <<'PYTHON'
import hashlib, pathlib, sys

root = pathlib.Path(sys.argv[1])
files = [root / "pyproject.toml", root / "scripts" / "constraints.txt"]
content = b"".join([str(root).encode(), *(file.read_bytes() for file in files)])
print(hashlib.sha256(content).hexdigest())
PYTHON
}

install() {
    local extra="$1" prefix="$2" target="$ROOT"
    local log="$prefix/optlab-install.log" constraints="$prefix/optlab-constraints.txt"
    [[ "$extra" == run ]] || target="$ROOT[$extra]"
    say "installing optlab and what it needs into $prefix (once; torch is large: a few minutes)"
    "$OPTLAB_PYTHON" -m pip --version &>/dev/null || "$OPTLAB_PYTHON" -m ensurepip >/dev/null
    constraints >"$constraints"
    if ! "$OPTLAB_PYTHON" -m pip install --disable-pip-version-check \
        --constraint "$constraints" --editable "$target" &>"$log"; then
        tail -n 20 "$log" >&2
        fail "the installation failed; the whole log is $log"
    fi
    say "installed"
}

# The tested versions; in an environment that is not ours, without those that it has already.
constraints() {
    if [[ "$OPTLAB_PYTHON" == "$ROOT/.venv/bin/python" ]]; then
        cat "$ROOT/scripts/constraints.txt"
        return
    fi
    "$OPTLAB_PYTHON" - "$ROOT/scripts/constraints.txt" <<'PYTHON'
import importlib.metadata, pathlib, re, sys

def canonical(name):
    return re.sub("[-_.]+", "-", name).lower()

present = {canonical(known.name) for known in importlib.metadata.distributions()}
for line in pathlib.Path(sys.argv[1]).read_text().splitlines():
    if canonical(line.partition("==")[0]) not in present:
        print(line)
PYTHON
}
