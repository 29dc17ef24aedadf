"""Processes that are killed while they work on a sweep, and what those after them find."""

import os
import random
import shutil
import signal
import threading
import time

import pytest

from optlab.config import ConfigError
from optlab.loggers.table import read_metrics
from optlab.sweep.ledger_reader import LedgerReader
from optlab.sweep.run_folder import LEDGER_FILE
from tests.sweep.executing import do, left, seeds, states, sweep_of
from tests.sweep.ledgers import process

#: Executes the sweep, and says so and waits before each of these calls.
TALKING = """
import sys
from optlab.sweep.array import Array
from optlab.sweep.ledger import Ledger
from optlab.sweep.progress import Progress
from tests.sweep.test_workers import do, grid

def talk(owner, name):
    called = getattr(owner, name)
    def calling(self, *arguments):
        print("about to", name, flush=True)
        sys.stdin.readline()
        return called(self, *arguments)
    setattr(owner, name, calling)

talk(Progress, "advanced"), talk(Array, "write_results"), talk(Ledger, "end")
do(grid(sys.argv[1]), sys.argv[1], engine="native")
"""


def grid(folder, epochs=6, console="false"):
    """Return six runs in two programs."""
    cells = [{"seed": seed, "trainer.batch_size": size} for size in (8, 12) for seed in range(3)]
    common = ("diagnostics.every=0", "diagnostics.flow_every=0", f"trainer.epochs={epochs}")
    common += (f"logger.console={console}",)
    return sweep_of(folder, *cells, common=common)


def curves(folder, runs):
    """Return all recorded values of the runs, without their times."""
    tags = ["loss/train", "accuracy/train", "loss/val", "accuracy/val", "loss/test", "lr"]
    rows = read_metrics([run.folder for run in runs], tags)
    return sorted((os.path.basename(row[-1]), *row[:2], *row[3:5]) for row in rows.rows())


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """Return what an uninterrupted sweep leaves: results and curves."""
    folder = tmp_path_factory.mktemp("expected")
    runs = grid(folder)
    do(runs, folder, engine="native")
    return left(folder), curves(folder, runs)


def killed_before(folder, call):
    """Execute the sweep in a process and kill it before its call of that number, from 1."""
    with process(TALKING, folder) as child:
        for left_to_make in reversed(range(call)):
            while not child.stdout.readline().startswith("about to"):
                assert child.poll() is None
            if left_to_make:
                child.stdin.write("\n")
                child.stdin.flush()
        child.kill()


#: Of each program six epochs, then the writing of files, then that into the ledger.
MOMENTS = [
    pytest.param(3, id="in training"),
    pytest.param(7, id="at the files", marks=pytest.mark.slow),
    pytest.param(8, id="at the ledger"),
    pytest.param(12, id="in the next program", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("call", MOMENTS)
def test_a_sweep_that_is_killed_and_resumed_equals_an_uninterrupted_one(tmp_path, expected, call):
    killed_before(tmp_path, call)
    assert states(tmp_path)[3:] == ["running" if call > 8 else "queued"] * 3
    runs = grid(tmp_path)
    do(runs, tmp_path, engine="native")
    assert states(tmp_path) == ["done"] * 6
    assert left(tmp_path) == expected[0]
    assert curves(tmp_path, runs) == expected[1]


@pytest.mark.slow
def test_so_does_one_that_is_killed_at_any_moment(tmp_path, expected):
    moments, runs = random.Random(0), grid(tmp_path)
    script = TALKING.replace("sys.stdin.readline()", "pass")
    for _ in range(5):
        with process(script, tmp_path) as child:
            child.stdout.readline()
            time.sleep(moments.uniform(0, 0.1))
            child.kill()
    do(runs, tmp_path, engine="native")
    assert left(tmp_path) == expected[0]
    assert curves(tmp_path, runs) == expected[1]


def test_several_processes_leave_what_one_does(tmp_path, expected, capfd):
    runs = grid(tmp_path, console="true")
    do(runs, tmp_path, engine="native", workers=2)
    assert states(tmp_path) == ["done"] * 6
    assert left(tmp_path) == expected[0]
    assert curves(tmp_path, runs) == expected[1]
    with LedgerReader(tmp_path) as ledger:
        entries = ledger.entries()
    assert {entry.worker for entry in entries} <= {"worker 1", "worker 2"}
    assert os.getpid() not in {entry.process.pid for entry in entries}
    assert "6 of 6 runs (6 done), 2 of 2 programs" in capfd.readouterr().err


def kill_the_first_that_trains(folder, killed):
    wait_until(lambda: running(folder))
    killed.append(running(folder)[0])
    os.kill(killed[0], signal.SIGKILL)


def test_the_runs_of_a_killed_worker_are_taken_up_by_others(tmp_path):
    runs = sweep_of(tmp_path, {"seed": 0}, {"seed": 1}, common=("trainer.epochs=60",))
    killed = []
    thread = threading.Thread(target=kill_the_first_that_trains, args=(tmp_path, killed))
    thread.start()
    do(runs, tmp_path, engine="single", workers=2)
    thread.join()
    assert states(tmp_path) == ["done", "done"]
    with LedgerReader(tmp_path) as ledger:
        entries = ledger.entries()
    assert sorted(entry.attempts for entry in entries) == [1, 2]
    assert killed[0] not in {entry.process.pid for entry in entries}


def test_workers_end_with_the_process_that_started_them(tmp_path):
    script = """
import sys
from tests.sweep.test_workers import do, grid
do(grid(sys.argv[1], epochs=100000), sys.argv[1], engine="single", workers=2)
"""
    with process(script, tmp_path) as child:
        wait_until(lambda: len(running(tmp_path)) == 2)
        child.kill()
    wait_until(lambda: not running(tmp_path))
    assert sorted(states(tmp_path)) == ["killed"] * 2 + ["queued"] * 4


def test_processes_that_do_not_begin_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("optlab.sweep.workers.sys.executable", shutil.which("false"))
    with pytest.raises(ChildProcessError, match="2 runs are left"):
        do(seeds(tmp_path, 2), tmp_path, workers=2)
    assert states(tmp_path) == ["queued"] * 2


def running(folder):
    """Return the processes that train."""
    if not (folder / LEDGER_FILE).exists():
        return []
    try:
        with LedgerReader(folder) as ledger:
            return [entry.process.pid for entry in ledger.entries("state = 'running'")]
    except ConfigError:  # it is being made, and is empty so far
        return []


def wait_until(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
