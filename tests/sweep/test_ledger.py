"""A ledger's records: claimed, ended, given back, released, tried again."""

import os
import signal
import sqlite3

import pytest

from optlab.sweep import ledger as ledger_module
from optlab.sweep.ledger import MAX_ATTEMPTS, Ledger
from optlab.sweep.process import SILENT_S
from tests.sweep.ledgers import GRID, LINE, ended, planned, process


@pytest.fixture
def runs(tmp_path):
    return planned(tmp_path / "sweep", range(4))


@pytest.fixture
def ledger(tmp_path, runs):
    with Ledger(tmp_path / "sweep", "cpu 0") as opened:
        opened.enter(runs, GRID, LINE)
        yield opened


def states(ledger):
    return [entry.state for entry in ledger.entries()]


def test_a_claimed_run_is_running_here_and_since_now(ledger):
    assert ledger.claim([2]) == [2]
    entry = ledger.entries()[2]
    assert (entry.state, entry.attempts, entry.worker) == ("running", 1, "cpu 0")
    assert entry.process.pid == os.getpid()
    assert entry.started.endswith("+00:00")
    assert entry.ended is None
    assert states(ledger) == ["queued", "queued", "running", "queued"]


def test_a_run_is_claimed_once(ledger, tmp_path):
    with Ledger(tmp_path / "sweep") as other:
        assert ledger.claim([0, 1]) == [0, 1]
        assert other.claim([1, 2, 2]) == [2]


def test_results_are_kept_to_the_last_bit(ledger, runs):
    results = {0: ended(runs[0], loss=0.1 + 0.2), 1: ended(runs[1], "diverged", "loss became nan")}
    ledger.claim([0, 1])
    assert ledger.end(results) == [0, 1]
    assert ledger.results() == results
    assert states(ledger) == ["done", "diverged", "queued", "queued"]
    assert ledger.entries()[1].cause == "loss became nan"


def test_a_loss_that_is_no_number_comes_back(ledger, runs):
    ledger.claim([0])
    ledger.end({0: ended(runs[0], "diverged", loss=float("inf"))})
    assert ledger.results()[0].val["loss"] == float("inf")


def test_an_interrupted_run_is_killed(ledger, runs):
    ledger.claim([0])
    ledger.end({0: ended(runs[0], "interrupted", "stopped by hand")})
    assert states(ledger)[0] == "killed"


def test_what_is_missing_is_all_but_the_results(ledger, runs):
    ledger.claim([0, 1, 2])
    ledger.end({0: ended(runs[0]), 1: ended(runs[1], "diverged"), 2: ended(runs[2], "failed")})
    assert ledger.missing() == [2, 3]


def test_a_result_stays_whatever_comes_later(ledger, runs):
    ledger.claim([0])
    ledger.end({0: ended(runs[0])})
    assert ledger.end({0: ended(runs[0], "failed", "late")}) == []
    assert ledger.end({0: ended(runs[0], loss=7.0)}) == []
    assert ledger.results()[0] == ended(runs[0])


def test_failed_and_killed_runs_are_tried_again_and_no_others(ledger, runs):
    ledger.claim([0, 1, 2])
    ledger.end({0: ended(runs[0], "failed"), 1: ended(runs[1], "interrupted"), 2: ended(runs[2])})
    assert ledger.retry(range(4)) == [0, 1]
    assert states(ledger) == ["queued", "queued", "done", "queued"]
    assert ledger.claim([0]) == [0]
    assert ledger.entries()[0].attempts == 1


def test_a_run_given_back_was_never_claimed(ledger):
    ledger.claim([0, 1])
    ledger.put_back([1, 3])
    assert states(ledger) == ["running", "queued", "queued", "queued"]
    assert ledger.entries()[1].attempts == 0


def test_whoever_closes_gives_back_what_has_not_ended(ledger, runs, tmp_path):
    with Ledger(tmp_path / "sweep") as other:
        other.claim([0, 1])
        other.end({0: ended(runs[0])})
    assert states(ledger) == ["done", "queued", "queued", "queued"]


def test_runs_of_living_processes_are_not_released(ledger, tmp_path):
    ledger.claim([0])
    with Ledger(tmp_path / "sweep") as other:
        assert other.release() == []
    assert states(ledger)[0] == "running"


CLAIM_AND_WAIT = """
import sys, time
from optlab.sweep.ledger import Ledger
ledger = Ledger(sys.argv[1])
print(ledger.claim(range(2)), flush=True)
time.sleep(600)
"""


def vanish(folder, script=CLAIM_AND_WAIT):
    """Let a process claim the first two runs, and kill it."""
    worker = process(script, folder)
    claimed = worker.stdout.readline()
    worker.kill()
    worker.stdout.close()
    worker.stdin.close()
    return worker, claimed


def test_runs_of_a_killed_process_go_back_to_the_queue(ledger, tmp_path):
    worker, claimed = vanish(tmp_path / "sweep")
    worker.wait()
    assert claimed == "[0, 1]\n"
    assert ledger.release() == [0, 1]
    assert states(ledger) == ["queued"] * 4
    assert ledger.entries()[0].attempts == 1


def test_a_killed_process_is_gone_before_its_parent_asks_for_it(ledger, tmp_path):
    worker, _ = vanish(tmp_path / "sweep")
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)  # it stays in the table of processes
    released = ledger.release()
    worker.wait()
    assert released == [0, 1]


def test_a_run_that_keeps_losing_its_process_is_killed(ledger, tmp_path):
    for _ in range(MAX_ATTEMPTS):
        worker, _ = vanish(tmp_path / "sweep")
        worker.wait()
        ledger.release()
    assert states(ledger) == ["killed", "killed", "queued", "queued"]
    assert f"vanished {MAX_ATTEMPTS} times, the last on" in ledger.entries()[0].cause
    assert ledger.retry([0]) == [0]


def test_runs_that_come_further_each_time_may_lose_any_number_of_processes(ledger, tmp_path):
    claimed = "found = ledger.claim(range(2)); ledger.came_further(found); print(found, flush=True)"
    further = CLAIM_AND_WAIT.replace("print(ledger.claim(range(2)), flush=True)", claimed)
    for _ in range(MAX_ATTEMPTS + 1):
        worker, _ = vanish(tmp_path / "sweep", further)
        worker.wait()
        assert ledger.release() == [0, 1]
        assert ledger.entries()[0].attempts == 1


def move_elsewhere(ledger, heard):
    """Let it look as if this process were on another host and had been heard at ``heard``."""
    with sqlite3.connect(ledger.path) as connection:
        connection.execute("UPDATE workers SET machine = 'elsewhere', heard = ?", (heard,))
    connection.close()


def test_a_process_elsewhere_is_gone_when_it_has_been_silent(ledger, monkeypatch):
    ledger.claim([0])
    monkeypatch.setattr(ledger_module.time, "time", lambda: 10_000.0)
    move_elsewhere(ledger, heard=10_000.0 - SILENT_S)
    assert ledger.release() == []
    move_elsewhere(ledger, heard=10_000.0 - SILENT_S - 1)
    assert ledger.release() == [0]


def test_a_sign_of_life_is_written_now_and_then(ledger, monkeypatch):
    ledger.claim([0])
    claimed = ledger.entries()[0].heard
    ledger.beat()
    assert ledger.entries()[0].heard == claimed
    monkeypatch.setattr(ledger_module, "BEAT_S", 0.0)
    ledger.beat()
    assert ledger.entries()[0].heard > claimed


def test_a_failure_of_a_run_that_is_another_processs_by_now_is_passed_over(ledger, runs, tmp_path):
    ledger.claim([0])
    move_elsewhere(ledger, heard=0.0)
    with Ledger(tmp_path / "sweep") as other:
        assert other.release() == [0]
        assert other.claim([0]) == [0]
        assert ledger.end({0: ended(runs[0], "failed", "here")}) == []
        assert states(ledger)[0] == "running"
        assert ledger.end({0: ended(runs[0])}) == [0]  # a result is the same whosever it is
        assert other.end({0: ended(runs[0])}) == []


def test_the_ledger_starts_without_torch():
    imports = "import sys, optlab.sweep.ledger, optlab.sweep.restore, optlab.sweep.status"
    assert process(f"{imports}; print('torch' in sys.modules)").communicate()[0] == "False\n"


CLAIM_ROUND_BY_ROUND = """
import sys
from optlab.sweep.ledger import Ledger
ledger = Ledger(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    first = int(line)
    print(*[n for each in range(first, first + 10) for n in ledger.claim([each])], flush=True)
"""


def test_processes_that_claim_at_once_never_get_the_same_run(tmp_path):
    folder = tmp_path / "sweep"
    with Ledger(folder) as ledger:
        ledger.enter(planned(folder, range(200)), GRID, LINE)
    workers = [process(CLAIM_ROUND_BY_ROUND, folder) for _ in range(3)]
    assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 3
    claimed = []
    for first in range(0, 200, 10):
        for worker in workers:  # all of them at the same ten runs
            worker.stdin.write(f"{first}\n")
            worker.stdin.flush()
        claimed += [int(n) for worker in workers for n in worker.stdout.readline().split()]
    for worker in workers:
        worker.communicate()
    assert sorted(claimed) == list(range(200))


WORK = """
import random, sys
from optlab.sweep.ledger import Ledger
from tests.sweep.ledgers import GRID, LINE, ended, planned

folder, draw = sys.argv[1], random.Random(sys.argv[2])
ledger = Ledger(folder)
print("ready", flush=True)
for start in range(0, 100_000, 50):
    runs = ledger.enter(planned(folder, range(start, start + 50)), GRID, LINE, extend=True)
    print("entered", start + 50, flush=True)
    mine = ledger.claim([run.number for run in runs if draw.random() < 0.7])
    results = {run.number: ended(run, loss=run.number / 7) for run in runs if run.number in mine}
    ledger.end(results)
    print("ended", *results, flush=True)
"""


@pytest.mark.parametrize("round_number", range(4))
def test_nothing_that_was_recorded_is_lost_by_a_kill(tmp_path, round_number):
    folder = tmp_path / "sweep"
    entered, finished = 0, set()
    for attempt in range(3):
        worker = process(WORK, folder, f"{round_number} {attempt}")
        assert worker.stdout.readline() == "ready\n"
        lines_before = 5 + 7 * round_number + attempt
        told = [worker.stdout.readline().split() for _ in range(lines_before)]
        worker.send_signal(signal.SIGKILL)  # in the middle of whatever follows
        told += [line.split() for line in worker.stdout.read().splitlines(True) if "\n" in line]
        worker.stdout.close()
        worker.stdin.close()
        worker.wait()
        for word, *numbers in told:
            if word == "entered":
                entered = max(entered, int(numbers[0]))
            else:
                finished |= set(map(int, numbers))
        with Ledger(folder) as ledger:
            assert ledger._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            entries, results = ledger.entries(), ledger.results()
            assert len(entries) >= entered
            assert len(entries) % 50 == 0  # runs are entered together or not at all
            assert {n for n, result in results.items() if result.status == "done"} >= finished
            assert all(result.val["loss"] == n / 7 for n, result in results.items())
            assert {entry.number for entry in entries if entry.state == "done"} == set(results)
            ledger.release()
            assert not [entry for entry in ledger.entries() if entry.state == "running"]
