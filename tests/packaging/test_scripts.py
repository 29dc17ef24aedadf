"""scripts/env.sh, on machines of every kind: each is a folder of commands put first on PATH."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
PYTHONS = ("python3", "python3.13", "python3.12", "python3.11", "python")
# Stands for pip: notes its arguments and fails when the folder holds a file called `broken`.
PIP = """\
import pathlib, sys
here = pathlib.Path(__file__).parent
with open(here / "calls", "a") as calls:
    print(*sys.argv[1:], file=calls)
if "install" in sys.argv and (here / "broken").exists():
    sys.exit("ERROR: no space left on device")
"""


class Machine:
    """A copy of the scripts in a project of its own, and an environment with a recording pip."""

    def __init__(self, folder: Path) -> None:
        self.project, self.commands = folder / "a project", folder / "bin"
        shutil.copytree(SCRIPTS, self.project / "scripts")
        (self.project / "pyproject.toml").write_text("[project]")
        self.constrain("numpy==2.0.0")
        self.commands.mkdir()
        for name in PYTHONS:
            self.command(name, "exit 1")

    def command(self, name: str, body: str) -> None:
        path = self.commands / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def constrain(self, text: str) -> None:
        (self.project / "scripts" / "constraints.txt").write_text(text + "\n")

    def environment(self, name: str) -> "Environment":
        return Environment(self.project / name)

    def run(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        hidden = {"VIRTUAL_ENV", "CONDA_PREFIX", "OPTLAB_PYTHON", "PYTHONPATH"}
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        path = f"{self.commands}{os.pathsep}{os.environ['PATH']}"
        source = f"source '{self.project}/scripts/env.sh'"
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{source}\n{script}"],
            env=kept | {"PATH": path} | variables,
            cwd="/",
            capture_output=True,
            text=True,
        )


class Environment:
    """A virtual environment whose pip only takes notes."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, symlinks=True)
        self.folder, self.python = folder, folder / "bin" / "python"
        self.pip = next(folder.glob("lib/python*/site-packages")) / "pip"
        self.pip.mkdir()
        (self.pip / "__main__.py").write_text(PIP)

    def installed(self) -> list[str]:
        """Return what pip was asked to install, oldest first."""
        calls = self.pip / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [line.partition("--editable ")[2] for line in lines if line.startswith("install")]

    def has(self, name: str) -> None:
        """Put a distribution called ``name`` into the environment."""
        info = self.pip.parent / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.sh")), ids=lambda path: path.name)
def test_script_parses_and_is_executable_unless_sourced(script: Path) -> None:
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    assert os.access(script, os.X_OK) == script.read_text().startswith("#!")


def test_the_first_supported_python_is_taken(machine: Machine) -> None:
    machine.command("python3.12", f'exec {sys.executable} "$@"')
    assert machine.run("find_python").stdout.strip() == sys.executable


def test_no_supported_python_is_one_sentence(machine: Machine) -> None:
    result = machine.run("optlab_env run; echo went on")
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == (
        "[optlab] optlab needs Python 3.11, 3.12 or 3.13, and PATH has none: "
        "install one and run this again\n"
    )


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_the_active_environment_is_used(machine: Machine, variable: str) -> None:
    active = machine.environment("active")
    result = machine.run("optlab_env run; command -v python", **{variable: str(active.folder)})
    assert result.stdout.strip() == str(active.python)
    assert active.installed() == [str(machine.project)]


def test_an_active_environment_of_another_python_is_left_alone(machine: Machine) -> None:
    own = machine.environment(".venv")
    result = machine.run("optlab_env run", VIRTUAL_ENV="/nowhere")
    assert "/nowhere has no Python 3.11 to 3.13; using" in result.stderr
    assert own.installed() == [str(machine.project)]


def test_an_environment_is_made_where_there_is_none(machine: Machine) -> None:
    machine.command("python3", f'exec {sys.executable} "$@"')
    result = machine.run("own_python")
    own = machine.project / ".venv" / "bin" / "python"
    assert result.stdout.strip() == str(own)
    assert f"making {machine.project}/.venv with Python 3." in result.stderr
    assert own.exists()


def test_the_interpreter_given_is_used_as_it_is(machine: Machine) -> None:
    ready = machine.environment("ready")
    result = machine.run("optlab_env dev; command -v python", OPTLAB_PYTHON=str(ready.python))
    assert result.stdout.strip() == str(ready.python)
    assert ready.installed() == []


def test_a_second_run_installs_nothing(machine: Machine) -> None:
    own = machine.environment(".venv")
    assert "installing optlab" in machine.run("optlab_env run").stderr
    assert "installing optlab" not in machine.run("optlab_env run").stderr
    assert len(own.installed()) == 1


@pytest.mark.parametrize(
    ("first", "second", "installed"),
    [("run", "dev", ["", "[dev]"]), ("dev", "run", ["[dev]"]), ("dev", "dev", ["[dev]"])],
)
def test_the_tools_are_added_when_they_are_needed(
    machine: Machine, first: str, second: str, installed: list[str]
) -> None:
    own = machine.environment(".venv")
    machine.run(f"optlab_env {first}")
    machine.run(f"optlab_env {second}")
    assert own.installed() == [f"{machine.project}{extra}" for extra in installed]


def test_a_changed_constraint_installs_again(machine: Machine) -> None:
    own = machine.environment(".venv")
    machine.run("optlab_env run")
    machine.constrain("numpy==2.1.0")
    machine.run("optlab_env run")
    assert len(own.installed()) == 2


def test_a_failed_installation_says_why_and_is_tried_again(machine: Machine) -> None:
    own = machine.environment(".venv")
    (own.pip / "broken").touch()
    result = machine.run("optlab_env run; echo went on")
    assert (result.returncode, result.stdout) == (1, "")
    assert "ERROR: no space left on device" in result.stderr
    (own.pip / "broken").unlink()
    assert machine.run("optlab_env run").returncode == 0
    assert len(own.installed()) == 2


def test_versions_are_fixed_except_where_a_foreign_environment_has_its_own(
    machine: Machine,
) -> None:
    machine.constrain("NumPy_Quaternion==2.0.0\ntorch==2.15.0")
    for name, variables, kept in [
        (".venv", {}, ["NumPy_Quaternion==2.0.0", "torch==2.15.0"]),
        ("active", {"VIRTUAL_ENV": str(machine.project / "active")}, ["torch==2.15.0"]),
    ]:
        environment = machine.environment(name)
        environment.has("numpy-quaternion")
        machine.run("optlab_env run", **variables)
        used = environment.folder / "optlab-constraints.txt"
        assert used.read_text().split() == kept
