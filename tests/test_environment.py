import importlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import optlab
from optlab import environment as module
from optlab.environment import cpu_name, device_name, environment, usable_cores


@pytest.fixture(autouse=True)
def _forget_git() -> Iterator[None]:
    """The git state is asked once per process; tests move the package about."""
    module._git_state.cache_clear()
    yield
    module._git_state.cache_clear()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed repository with a package in it, which stands for optlab."""
    package = tmp_path / "optlab"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(optlab, "__file__", str(package / "__init__.py"))
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "start")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_versions_are_those_of_the_running_packages() -> None:
    assert environment()["versions"] == {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "optlab": optlab.__version__,
    }


def test_environment_is_plain_json_and_says_the_machine() -> None:
    found = environment()
    assert json.loads(json.dumps(found)) == found
    assert found["threads"] == torch.get_num_threads()
    assert found["cpu"] == found["device"] == cpu_name() != ""


def test_commit_of_a_clean_and_of_a_changed_tree(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    assert (environment()["commit"], environment()["dirty"]) == (commit, False)
    module._git_state.cache_clear()
    (repository / "optlab" / "__init__.py").write_text("changed = True\n")
    assert (environment()["commit"], environment()["dirty"]) == (commit, True)


def test_no_commit_outside_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optlab, "__file__", str(tmp_path / "optlab" / "__init__.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert (environment()["commit"], environment()["dirty"]) == (None, None)


def test_no_commit_of_a_repository_that_does_not_track_the_package(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = repository / ".venv" / "optlab"
    shutil.copytree(repository / "optlab", installed)
    monkeypatch.setattr(optlab, "__file__", str(installed / "__init__.py"))
    assert environment()["commit"] is None


def test_no_commit_without_the_git_program(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert environment()["commit"] is None


def test_settings_that_change_bits_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    found = environment()["flags"]
    assert found["MKL_CBWR"] == "COMPATIBLE"
    assert "PYTHONHASHSEED" not in found
    assert found["float32_matmul_precision"] == torch.get_float32_matmul_precision()
    torch.use_deterministic_algorithms(True)
    try:
        assert environment()["flags"]["deterministic_algorithms"] == "True"
    finally:
        torch.use_deterministic_algorithms(False)


def test_plugins_are_recorded_by_version_or_by_what_their_file_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "numbered_plugin.py").write_text("__version__ = '1.2'\n")
    (tmp_path / "plain_plugin.py").write_text("VALUE = 1\n")
    names = ("numbered_plugin", "plain_plugin")
    for name in names:
        importlib.import_module(name)
    first = environment(plugins=names)["versions"]
    assert first["numbered_plugin"] == "1.2"
    (tmp_path / "plain_plugin.py").write_text("VALUE = 2\n")
    assert environment(plugins=names)["versions"]["plain_plugin"] != first["plain_plugin"]


@pytest.mark.gpu
def test_name_of_a_cuda_device() -> None:
    assert device_name("cuda") == torch.cuda.get_device_name(0)


def test_importing_the_module_does_not_import_torch() -> None:
    code = "import sys, optlab.environment; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_cores_of_a_process_are_counted_where_nobody_restricts_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert 1 <= usable_cores() <= os.cpu_count()
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert usable_cores() == os.cpu_count()
