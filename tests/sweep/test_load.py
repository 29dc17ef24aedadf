"""Sweeps of very many runs: files, open files and memory stay bounded."""

import os
import resource
import subprocess
import sys
import weakref
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest

from optlab.loggers.table import read_metrics
from optlab.report import report
from optlab.sweep import array
from optlab.sweep.plan import MOST_RUNS
from optlab.sweep.status import status
from tests.sweep.executing import do, seeds, states

NUM_RUNS, MOST = 150, 50


@contextmanager
def few_files_open(room):
    """Let this process open so many files more, and raise where it wants to open another."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + room, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.fixture
def alive(monkeypatch):
    """Return a list of how many runs had a model whenever another was built."""
    known, counts = [], []
    build = array.parts_of

    def counted(*arguments):
        made = build(*arguments)
        known.append(weakref.ref(made.module))
        counts.append(sum(module() is not None for module in known))
        return made

    monkeypatch.setattr(array, "parts_of", counted)
    return counts


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files by /proc")
def test_a_large_sweep_opens_few_files_and_holds_one_array_of_models(tmp_path, alive, monkeypatch):
    monkeypatch.setitem(MOST_RUNS, "native", MOST)
    runs = seeds(tmp_path, NUM_RUNS, common=["trainer.epochs=1"])
    with few_files_open(room=64):
        do(runs, tmp_path, "auto", tensorboard_runs=NUM_RUNS)
        made = report(tmp_path)
    assert states(tmp_path) == ["done"] * NUM_RUNS
    assert made.text.startswith(f"{NUM_RUNS} runs in 1 cell")
    assert len(alive) == NUM_RUNS
    assert max(alive) <= MOST + 1  # that of the array before, whose data are used again


def test_a_large_sweep_leaves_few_files(tmp_path):
    runs = seeds(tmp_path, NUM_RUNS, common=["trainer.epochs=1"])
    do(runs, tmp_path, "auto", tensorboard_runs=20)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    names = Counter("events" if "tfevents" in path.name else path.name for path in files)
    assert names.pop("config.yaml") == names.pop("result.json") == NUM_RUNS
    assert names.pop("events") == 20
    assert names.total() < 20  # the ledger, and parts of the table
    assert status(tmp_path).startswith(f"{NUM_RUNS} runs in {tmp_path}: {NUM_RUNS} done\n")


def test_runs_that_train_one_by_one_leave_one_table_of_few_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("optlab.loggers.sweep_table.MOST_PARTS", 3)
    runs = seeds(tmp_path, 5, common=["trainer.epochs=1"])
    do(runs, tmp_path, "single")
    assert len(list((tmp_path / "metrics").iterdir())) == 1
    found = read_metrics([run.folder for run in runs], ["loss/train"])
    assert set(found["folder"]) == {str(run.folder) for run in runs}


COMMON = ("task=xor", "trainer.epochs=1")
GRID = (
    "optimizer=momentum,adam,rmsprop,nag,sgd",
    "optimizer.lr=tag(log,interval(1e-4,1e-1))",
    *("search=halton", "trials=200", "seed=range(0,10)"),
)


@pytest.mark.slow
def test_ten_thousand_runs_from_one_command(tmp_path):
    command = [sys.executable, "-m", "optlab", "sweep"]
    for more in ([*GRID, "sweep.dir=all"], ["optimizer=adam", "seed=0,1", "sweep.dir=few"]):
        process = subprocess.Popen([*command, *more, *COMMON], cwd=tmp_path)
        _, code, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(code)
        assert process.returncode == 0
        memory = used.ru_maxrss / 1024
        if more[-1] == "sweep.dir=all":
            memory_of_all = memory
    assert memory_of_all - memory < 600  # MiB; a model, its run and its records take 80 KiB
    assert status(tmp_path / "all").startswith("10000 runs in ")
    assert len(list(Path(tmp_path, "all").glob("*/*tfevents*"))) == 400
    assert len(list(Path(tmp_path, "all", "metrics").iterdir())) <= 100
    assert report(tmp_path / "all").text.startswith("10000 runs in 1000 cells")
