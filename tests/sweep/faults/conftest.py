"""A plugin with faults beside a sweep of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore

from optlab import registry
from tests.sweep.conftest import folder  # noqa: F401 - a fixture
from tests.sweep.faults.names import MENDED
from tests.sweep.faults.sweeps import ROOT, SMALL_DISK, UNSHARED

PLUGIN = "faulty_plugin"


@pytest.fixture
def plugin(folder, monkeypatch):  # noqa: F811
    """Copy the plugin into the current folder, and return its name."""
    shutil.copy(Path(__file__).with_name("faulty.py"), folder / f"{PLUGIN}.py")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for processes that are started meanwhile
    monkeypatch.delenv(MENDED, raising=False)
    yield PLUGIN
    sys.modules.pop(PLUGIN, None)
    for group in (registry.models, registry.optimizers):
        group._entries.pop("faulty", None)
        ConfigStore.instance().repo.get(group.group, {}).pop("faulty.yaml", None)


@pytest.fixture
def disk(folder, plugin):  # noqa: F811
    """Return a folder that processes can make a disk of their own."""
    made = folder / "disk"
    made.mkdir()
    trial = [*UNSHARED, SMALL_DISK, str(made)]
    if not shutil.which("unshare") or subprocess.run(trial, capture_output=True).returncode:
        pytest.skip("this system lets tests mount no file system")
    return made
