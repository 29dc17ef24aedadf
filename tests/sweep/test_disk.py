"""Room for a sweep: refused where there is clearly too little, told where it may not suffice."""

import os
import shutil
from collections import namedtuple

import pytest

from optlab.config import ConfigError
from optlab.sweep import disk
from optlab.sweep.disk import needed_bytes, refuse_full
from optlab.sweep.program import Footprint, Plan, Program
from optlab.sweep.settings import SweepSettings
from tests.sweep.executing import do, seeds, states

Usage = namedtuple("Usage", "total used free")
Names = namedtuple("Names", "f_files f_favail")


def plan_of(runs, weights=0):
    footprint = Footprint(10, 10, weights)
    return Plan((Program(1, tuple(runs), "eager", {}, (len(runs),), footprint),))


@pytest.fixture
def room(monkeypatch):
    """Return a function that says how many bytes, files and all files there are."""

    def make(free, files=10**9, all_files=10**9):
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(0, 0, free))
        monkeypatch.setattr(os, "statvfs", lambda folder: Names(all_files, files))

    return make


def test_what_is_needed_is_no_more_than_what_a_sweep_writes_and_not_much_less(tmp_path):
    runs = seeds(tmp_path, 4, common=("logger.tensorboard=true", "trainer.epochs=40"))
    do(runs, tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.name != "ledger.sqlite"]
    blocks = sum(-(-max(path.stat().st_size, 1) // disk.BLOCK) * disk.BLOCK for path in files)
    updates = {run.name: 240 for run in runs}
    assert 0.4 * blocks < needed_bytes(runs, updates) <= blocks


def test_a_sweep_that_cannot_fit_is_refused_with_numbers_and_what_to_do(tmp_path, room, capsys):
    runs = seeds(tmp_path, 3)
    needed = needed_bytes(runs, {})
    room(needed - 1)
    with pytest.raises(ConfigError, match=r"3 runs write .* KiB or more, and .* are free in"):
        refuse_full(tmp_path, plan_of(runs), {}, SweepSettings())
    room(needed)
    refuse_full(tmp_path, plan_of(runs), {}, SweepSettings())
    assert "it may not suffice" in capsys.readouterr().err
    room(disk.AMPLE * needed + disk.REPORT)
    refuse_full(tmp_path, plan_of(runs), {}, SweepSettings())
    assert capsys.readouterr().err == ""


def test_longer_runs_curves_and_weights_need_more(tmp_path, room):
    runs = seeds(tmp_path, 3, common=("logger.tensorboard=true",))
    plain = seeds(tmp_path, 3, common=("logger.tensorboard=false", "logger.table=false"))
    long = dict.fromkeys((run.name for run in runs), 10**6)
    assert needed_bytes(plain, {}) == needed_bytes(plain, long) < needed_bytes(runs, {})
    assert needed_bytes(runs, {}) < needed_bytes(runs, long)
    assert needed_bytes(runs, long, shown=0) < needed_bytes(runs, long, shown=2)
    room(needed_bytes(runs, {}) + 2_999)
    refuse_full(tmp_path, plan_of(runs, 1_000), {}, SweepSettings())
    with pytest.raises(ConfigError, match="free some space, choose another"):
        refuse_full(tmp_path, plan_of(runs, 1_000), {}, SweepSettings(checkpoint="last"))


def test_a_file_system_without_names_for_more_files_is_refused(tmp_path, room):
    runs = seeds(tmp_path, 3)
    room(2**40, files=11)
    with pytest.raises(ConfigError, match=r"makes 12 files .* has room for 11 more"):
        refuse_full(tmp_path, plan_of(runs), {}, SweepSettings())
    refuse_full(tmp_path, plan_of(runs), {}, SweepSettings(tensorboard_runs=2))
    room(2**40, files=0, all_files=0)  # as where names are made on demand
    refuse_full(tmp_path, plan_of(runs), {}, SweepSettings())


def test_a_refused_sweep_trains_nothing_and_goes_on_when_there_is_room(tmp_path, room, monkeypatch):
    runs = seeds(tmp_path, 2)
    with monkeypatch.context() as context:
        context.setattr(shutil, "disk_usage", lambda folder: Usage(0, 0, 10))
        with pytest.raises(ConfigError, match="free some space"):
            do(runs, tmp_path)
    assert states(tmp_path) == ["queued"] * 2
    do(runs, tmp_path)
    assert states(tmp_path) == ["done"] * 2
