"""Run folders written again from the ledger."""

import shutil

import pytest

from optlab.records import collect
from optlab.results import write_result
from optlab.sweep.ledger import Ledger
from optlab.sweep.refusal import FolderTakenError
from optlab.sweep.restore import restore_folders
from optlab.sweep.run_folder import write_config
from tests.sweep.ledgers import GRID, LINE, ended, planned


@pytest.fixture
def runs(tmp_path):
    return planned(tmp_path / "sweep", range(4))


@pytest.fixture
def ledger(tmp_path, runs):
    """Return a ledger of four runs: two done and in their folders, one failed, one queued."""
    with Ledger(tmp_path / "sweep") as opened:
        opened.enter(runs, GRID, LINE)
        opened.claim([0, 1, 2])
        results = {0: ended(runs[0]), 1: ended(runs[1], "diverged", loss=float("nan"))}
        opened.end({**results, 2: ended(runs[2], "failed")})
        assert restore_folders(opened) == [runs[0].folder, runs[1].folder]
        yield opened


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}


def test_what_is_whole_is_left_alone(ledger):
    assert restore_folders(ledger) == []


def test_the_folders_say_what_the_ledger_says(ledger, runs, tmp_path):
    records = collect(tmp_path / "sweep")
    assert [record.result.status for record in records] == ["done", "diverged"]
    assert records[0].result == ended(runs[0])
    assert records[0].options["seed"] == 0


@pytest.mark.parametrize("name", ["config.yaml", "result.json"])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "other"])
def test_a_lost_or_damaged_file_is_written_again(ledger, runs, tmp_path, name, damage):
    before = contents(tmp_path / "sweep")
    path = runs[0].folder / name
    match damage:
        case "gone":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(path.read_bytes()[:-20])
        case "other":
            path.write_text("[1, 2]")
    assert restore_folders(ledger) == [runs[0].folder]
    assert contents(tmp_path / "sweep") == before


def test_a_configuration_that_means_the_same_is_left_as_somebody_wrote_it(ledger, runs):
    path = runs[0].folder / "config.yaml"
    path.write_text("# my best one\n" + path.read_text())
    assert restore_folders(ledger) == []


def test_what_is_as_it_was_written_is_not_parsed(ledger, monkeypatch):
    monkeypatch.setattr("optlab.records.from_yaml", None)
    assert restore_folders(ledger) == []


def test_a_lost_folder_is_written_again(ledger, runs, tmp_path):
    before = contents(tmp_path / "sweep")
    shutil.rmtree(runs[1].folder)
    assert restore_folders(ledger) == [runs[1].folder]
    assert contents(tmp_path / "sweep") == before


def test_the_result_of_another_configuration_is_not_written_over(ledger, runs):
    (stranger,) = planned(runs[0].folder.parent, [0], optimizer={"name": "sgd"})
    write_config(runs[0].folder, stranger.config)
    write_result(runs[0].folder, ended(stranger))
    with pytest.raises(FolderTakenError, match="already holds a run of another configuration"):
        restore_folders(ledger)


def test_a_sweep_whose_ledger_was_lost_is_taken_over_from_its_folders(ledger, runs, tmp_path):
    folder = tmp_path / "sweep"
    ledger.path.rename(tmp_path / "away.sqlite")
    with Ledger(folder) as anew:
        anew.enter(runs, GRID, LINE)
        assert anew.missing() == [2, 3]
        assert anew.results()[0] == ledger.results()[0]
