"""Which runs a ledger takes in: the same line again, another grid, more of it."""

import pytest

from optlab.config import ConfigError
from optlab.results import write_result
from optlab.sweep.ledger import Ledger
from optlab.sweep.refusal import FolderTakenError
from optlab.sweep.run_folder import Grid, claim_for_grid
from tests.sweep.ledgers import GRID, LINE, ended, planned, process


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "sweep"


@pytest.fixture
def ledger(folder):
    with Ledger(folder) as opened:
        yield opened


def test_entered_runs_are_queued_and_keep_their_order(ledger, folder):
    runs = planned(folder, [3, 1, 2])
    assert ledger.enter(runs, GRID, LINE) == runs
    assert [entry.folder for entry in ledger.entries()] == [run.folder for run in runs]
    assert {entry.state for entry in ledger.entries()} == {"queued"}
    assert len({entry.cell for entry in ledger.entries()}) == 1


def test_the_same_line_again_keeps_what_is_there(ledger, folder):
    runs = planned(folder, range(3))
    ledger.enter(runs, GRID, LINE)
    ledger.claim([1])
    ledger.end({1: ended(runs[1])})
    before = ledger.entries()
    assert ledger.enter(planned(folder, range(3)), GRID, LINE) == runs
    assert ledger.entries() == before


ENTER = """
import sys
from optlab.sweep.ledger import Ledger
from tests.sweep.ledgers import GRID, LINE, planned
print("ready", flush=True)
sys.stdin.readline()
with Ledger(sys.argv[1]) as ledger:
    print(len(ledger.enter(planned(sys.argv[1], range(200)), GRID, LINE)))
"""


def test_the_same_line_started_twice_at_once_enters_its_runs_once(folder):
    commands = [process(ENTER, folder) for _ in range(2)]
    assert [command.stdout.readline() for command in commands] == ["ready\n"] * 2
    for command in commands:
        command.stdin.write("go\n")
        command.stdin.flush()
    assert [command.communicate()[0] for command in commands] == ["200\n"] * 2
    with Ledger(folder) as ledger:
        assert [entry.number for entry in ledger.entries()] == list(range(200))


def test_part_of_the_runs_are_those_runs(ledger, folder):
    ledger.enter(planned(folder, range(3)), GRID, LINE)
    assert [run.number for run in ledger.enter(planned(folder, [2]), GRID, LINE)] == [2]
    assert len(ledger.entries()) == 3


def test_another_grid_is_refused_with_both_described(ledger, folder):
    ledger.enter(planned(folder, range(3)), GRID, LINE)
    other = Grid(("optimizer.lr", "seed"), ("task=circles",))
    with pytest.raises(FolderTakenError) as raised:
        ledger.enter(planned(folder, [7]), other, LINE)
    assert str(raised.value) == (
        f"{folder} holds a sweep that varies seed and holds task=xor, this one varies "
        "optimizer.lr, seed and holds task=circles; add its runs with --extend, or choose "
        "another sweep.dir"
    )
    assert len(ledger.entries()) == 3


def test_more_runs_of_the_same_grid_are_refused(ledger, folder):
    ledger.enter(planned(folder, range(3)), GRID, LINE)
    with pytest.raises(
        FolderTakenError, match=r"a sweep of 3 runs, and 2 of this line's 5 are not"
    ):
        ledger.enter(planned(folder, range(5)), GRID, LINE)
    assert len(ledger.entries()) == 3


def test_extending_adds_what_is_missing_and_numbers_it_on(ledger, folder):
    runs = planned(folder, range(3))
    ledger.enter(runs, GRID, LINE)
    ledger.claim([2])
    ledger.end({2: ended(runs[2])})
    entered = ledger.enter(planned(folder, [9, 2, 8]), GRID, LINE, extend=True)
    assert [(run.number, run.name) for run in entered] == [
        (3, "seed=9"),
        (2, "seed=2"),
        (4, "seed=8"),
    ]
    assert ledger.missing() == [0, 1, 3, 4]


def test_both_lines_of_an_extended_sweep_are_taken_again(ledger, folder):
    other = Grid(("seed",), ("task=circles",))
    ledger.enter(planned(folder, range(2)), GRID, ["seed=0,1"])
    ledger.enter(planned(folder, range(5, 7)), other, ["seed=5,6"], extend=True)
    ledger.enter(planned(folder, range(2)), GRID, ["seed=0,1"])
    ledger.enter(planned(folder, range(5, 7)), other, ["seed=5,6"])
    assert ledger.unfinished_lines() == [["seed=0,1"], ["seed=5,6"]]
    ledger.claim([2, 3])
    ledger.end({run.number: ended(run) for run in ledger.planned([2, 3])})
    assert ledger.unfinished_lines() == [["seed=0,1"]]


def test_a_known_run_under_another_name_stays_where_it_is(ledger, folder):
    runs = planned(folder, range(2))
    ledger.enter(runs, GRID, LINE)
    renamed = planned(folder / "adam", range(2))
    assert ledger.enter(renamed, Grid(("optimizer", "seed"), ()), LINE, extend=True) == runs


def test_a_folder_that_another_run_has_is_refused_with_the_difference(ledger, folder):
    ledger.enter(planned(folder, range(2)), GRID, LINE)
    changed = planned(folder, range(2), optimizer={"name": "adam", "lr": 0.5})
    with pytest.raises(FolderTakenError) as raised:
        ledger.enter(changed, GRID, LINE, extend=True)
    assert "seed=0 is the folder of another run" in str(raised.value)
    assert "(optimizer.lr=0.001 there, 0.5 here)" in str(raised.value)
    assert len(ledger.entries()) == 2


def test_a_configuration_twice_is_refused(ledger, folder):
    with pytest.raises(ConfigError, match=r"runs 0 and 2 of the sweep have the same configuration"):
        ledger.enter(planned(folder, [4, 5, 4]), GRID, LINE)
    assert ledger.entries() == []


def test_two_runs_for_one_folder_are_refused(ledger, folder):
    runs = planned(folder, [4]) + planned(folder, [4], optimizer={"name": "sgd"})
    with pytest.raises(ConfigError, match=r"would have the same folder .*seed=4; let hydra"):
        ledger.enter(runs, GRID, LINE)


def test_results_in_run_folders_are_taken_over(ledger, folder):
    runs = planned(folder, range(3))
    write_result(runs[0].folder, ended(runs[0]))
    write_result(runs[1].folder, ended(runs[1], "failed"))
    ledger.enter(runs, GRID, LINE)
    assert [entry.state for entry in ledger.entries()] == ["done", "queued", "queued"]
    assert ledger.results() == {0: ended(runs[0])}
    assert ledger.entries()[0].started == ended(runs[0]).started


def test_a_run_folder_with_another_result_is_refused_and_nothing_is_entered(ledger, folder):
    (run,) = planned(folder, [0])
    (stranger,) = planned(folder, [0], optimizer={"name": "sgd"})
    write_result(run.folder, ended(stranger))
    with pytest.raises(FolderTakenError, match="already holds a run of another configuration"):
        ledger.enter([run], GRID, LINE)
    assert ledger.entries() == []


def test_a_sweep_without_a_ledger_is_continued_by_the_same_grid_only(folder):
    claim_for_grid(folder, GRID)
    with Ledger(folder) as ledger:
        with pytest.raises(FolderTakenError, match="that varies seed and holds task=xor, this one"):
            ledger.enter(planned(folder, range(2)), Grid(("lr",), ()), LINE)
        assert len(ledger.enter(planned(folder, range(2)), GRID, LINE)) == 2


def test_a_sweeps_folder_may_be_moved(folder, tmp_path):
    with Ledger(folder) as ledger:
        ledger.enter(planned(folder, range(2)), GRID, LINE)
    moved = folder.rename(tmp_path / "moved")
    with Ledger(moved) as again:
        assert again.enter(planned(moved, range(2)), GRID, LINE) == planned(moved, range(2))


def test_ten_thousand_runs_are_entered_and_claimed(ledger, folder):
    ledger.enter(planned(folder, range(10_000)), GRID, LINE)
    assert ledger.claim(range(5_000)) == list(range(5_000))
    runs = ledger.planned(range(300))
    assert ledger.end({run.number: ended(run) for run in runs}) == list(range(300))
    assert len(ledger.missing()) == 9_700
