"""Reading a ledger: by other programs, in fresh processes, while it is written."""

import sqlite3

import pytest

from optlab.sweep.ledger import Ledger
from optlab.sweep.ledger_file import LedgerError
from optlab.sweep.ledger_reader import LedgerReader
from tests.sweep.ledgers import GRID, LINE, ended, planned


@pytest.fixture
def runs(tmp_path):
    return planned(tmp_path / "sweep", range(4))


@pytest.fixture
def ledger(tmp_path, runs):
    with Ledger(tmp_path / "sweep", "cpu 0") as opened:
        opened.enter(runs, GRID, LINE)
        yield opened


def test_the_file_is_standard_json_for_other_readers(ledger, runs):
    ledger.claim([0])
    ledger.end({0: ended(runs[0], "diverged", loss=float("nan"))})
    with sqlite3.connect(ledger.path) as reader:
        query = "SELECT json_extract(result, '$.val.loss') FROM runs WHERE number = 0"
        assert reader.execute(query).fetchone() == ("nan",)
    reader.close()


def test_a_fresh_process_gets_the_runs_from_the_ledger(ledger, runs):
    again = ledger.planned([3, 1])
    assert again == [runs[3], runs[1]]
    assert [run.identity for run in again] == [runs[3].identity, runs[1].identity]


def test_a_reader_reads_while_another_writes(ledger, runs, tmp_path):
    ledger.claim([0])
    with LedgerReader(tmp_path / "sweep") as reader, ledger._writing():
        ledger._connection.execute("UPDATE runs SET cause = 'half written'")
        assert [entry.cause for entry in reader.entries()] == [None] * 4


def test_an_error_on_closing_does_not_hide_the_first_one(ledger, tmp_path, monkeypatch):
    def full(self):
        self._connection.close()
        raise LedgerError("the disk is full")

    monkeypatch.setattr(LedgerReader, "close", full)
    with pytest.raises(KeyboardInterrupt), LedgerReader(tmp_path / "sweep"):
        raise KeyboardInterrupt
    with pytest.raises(LedgerError, match="full"), LedgerReader(tmp_path / "sweep"):
        pass
    monkeypatch.undo()


def test_a_configuration_that_was_put_into_a_runs_place_is_damage(ledger, runs):
    with sqlite3.connect(ledger.path) as other:
        other.execute("UPDATE runs SET config = json_set(config, '$.plugins', 'theirs')")
    other.close()
    with pytest.raises(LedgerError, match=r"is damaged; .* \(ValueError: run 2 is \w+, and"):
        ledger.planned([2])


@pytest.mark.parametrize("place", ["/etc", "../elsewhere", "a/../../elsewhere"])
def test_a_run_that_would_lie_outside_is_damage(ledger, place):
    with sqlite3.connect(ledger.path) as other:
        other.execute("UPDATE runs SET folder = ? WHERE number = 1", (place,))
    other.close()
    for read in (ledger.entries, lambda: ledger.planned([1])):
        with pytest.raises(LedgerError, match=r"is damaged; .* lies outside\)"):
            read()


def test_tables_that_act_are_not_opened(ledger):
    with sqlite3.connect(ledger.path) as other:
        other.execute("CREATE TRIGGER theirs AFTER UPDATE ON runs BEGIN DELETE FROM runs; END")
    other.close()
    with pytest.raises(LedgerError, match="its tables are others"):
        LedgerReader(ledger.folder)
