"""A folder of its own for every test that starts the command line."""

import pytest

from optlab.cli import main
from tests.sweep.running import TINY


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    return tmp_path


@pytest.fixture
def train(folder):
    """Run ``optlab train`` on tiny settings into ``folder/NAME`` and return that folder."""

    def run(name, *overrides, tiny=TINY):
        where = folder / name
        assert main(["train", *tiny, f"hydra.run.dir={where}", *overrides]) == 0
        return where

    return run
