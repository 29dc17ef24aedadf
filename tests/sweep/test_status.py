"""What --status says, of a sweep with a ledger and of one without."""

import shlex

import pytest

from optlab.config import ConfigError
from optlab.results import write_result
from optlab.sweep.ledger import Ledger
from optlab.sweep.run_folder import write_config
from optlab.sweep.status import status
from tests.sweep.ledgers import GRID, LINE, ended, planned, process


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "sweep"


@pytest.fixture
def ledger(folder):
    with Ledger(folder, "cpu 1") as opened:
        opened.enter(planned(folder, range(8)), GRID, LINE)
        yield opened


def test_before_the_first_run(ledger, folder):
    assert status(folder) == (
        f"8 runs in {folder}: 8 queued\n"
        f"missing: 8 of 8; to continue: optlab sweep --resume {folder}\n"
    )


def test_in_the_middle(ledger, folder):
    runs = ledger.planned(ledger.claim(range(7)))
    ends = [("done", None), ("diverged", "loss became nan at update 3")]
    ends += [("failed", "no such file\nand more")] * 2 + [("interrupted", "stopped by hand")]
    ledger.end({r.number: ended(r, *end) for r, end in zip(runs, ends, strict=False)})
    said = status(folder).splitlines()
    counts = "1 done, 1 diverged, 2 failed, 1 killed, 2 running, 1 queued"
    assert said[0] == f"8 runs in {folder}: {counts}"
    assert said[1].startswith("running: 2 on ")
    assert ", cpu 1) for " in said[1]
    assert not said[1].endswith("gone")
    assert said[2] == "failed: 2: no such file (in seed=2 ...)"
    assert said[3] == "killed: 1: stopped by hand (in seed=4)"
    assert said[4].startswith("time: begun 20")
    assert said[4].endswith("; 7.5 s of training")
    assert said[5] == f"missing: 6 of 8; to continue: optlab sweep --resume {folder}"


def test_at_the_end(ledger, folder):
    runs = ledger.planned(ledger.claim(range(8)))
    ledger.end({run.number: ended(run) for run in runs})
    said = status(folder)
    assert said.startswith(f"8 runs in {folder}: 8 done\ntime: ")
    assert "missing" not in said


CLAIM_AND_DIE = """
import os, sys
from optlab.sweep.ledger import Ledger
Ledger(sys.argv[1]).claim([0])
os.kill(os.getpid(), 9)
"""


def test_a_worker_that_is_gone_is_named(ledger, folder):
    process(CLAIM_AND_DIE, folder).communicate()
    said = status(folder).splitlines()
    assert said[1].startswith("running: 1 on ")
    assert said[1].endswith(": that process is gone")


def test_it_is_read_while_a_process_writes(ledger, folder):
    with ledger._writing():
        ledger._connection.execute("UPDATE runs SET state = 'done'")
        assert "8 queued" in status(folder)


def test_the_line_may_be_pasted_whatever_the_folder_is_called(tmp_path):
    folder = tmp_path / "it's two words"
    with Ledger(folder) as ledger:
        ledger.enter(planned(folder, [0]), GRID, LINE)
    command = status(folder).partition("continue: ")[2]
    assert shlex.split(command) == ["optlab", "sweep", "--resume", str(folder)]


def begin(folder, seeds, *end):
    """Make run folders as Hydra's own launchers leave them, with a result where one is given."""
    for run in planned(folder, seeds):
        write_config(run.folder, run.config)
        if end:
            write_result(run.folder, ended(run, *end))


def test_a_sweep_without_a_ledger_is_counted_by_its_results(folder):
    begin(folder, range(3), "done")
    begin(folder, [3], "failed", "no such file")
    begin(folder, [4, 5])
    assert status(folder) == (
        f"6 runs in {folder}: 3 done, 1 failed, 2 unfinished (no ledger: runs that have not "
        "begun are not counted)\n"
        "failed: 1: no such file (in seed=3)\n"
        "time: begun 2026-11-20 17:00:00 UTC, last start or end 0 s later; 6 s of training\n"
        "missing: 3 of those that began; the same line again trains them\n"
    )


def test_without_a_ledger_damaged_records_are_counted_and_told(folder):
    begin(folder, range(2), "done")
    (folder / "seed=1" / "result.json").write_text("{")
    said = status(folder).splitlines()
    assert said[0].startswith(f"2 runs in {folder}: 1 done, 1 damaged (")
    assert said[1].startswith("damaged: 1: cannot read ")


def test_no_folder(tmp_path):
    with pytest.raises(ConfigError, match=r"no folder '.*nowhere': give the folder"):
        status(tmp_path / "nowhere")


def test_a_folder_without_a_sweep(tmp_path):
    with pytest.raises(ConfigError, match="holds no sweep: neither a ledger nor runs"):
        status(tmp_path)


def test_a_folder_of_sweeps(ledger, folder, tmp_path):
    with pytest.raises(ConfigError, match=f"holds 1 sweeps; give one of them: {folder}"):
        status(tmp_path)
