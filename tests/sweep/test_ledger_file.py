"""What a ledger says when its file cannot be used, and that nothing is lost by it."""

import contextlib
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest

from optlab.config import ConfigError
from optlab.sweep import ledger_file
from optlab.sweep.ledger import Ledger
from optlab.sweep.ledger_file import LedgerError
from optlab.sweep.ledger_reader import LedgerReader
from optlab.sweep.run_folder import LEDGER_FILE
from tests.sweep.ledgers import GRID, LINE, ended, planned, process


@pytest.fixture
def folder(tmp_path):
    """Return a sweep's folder, its ledger closed, with one of 40 runs done."""
    where = tmp_path / "sweep"
    with Ledger(where) as ledger:
        runs = ledger.enter(planned(where, range(40)), GRID, LINE)
        ledger.claim([0])
        ledger.end({0: ended(runs[0])})
    return where


def test_every_commit_is_forced_to_the_disk_and_leaves_one_file(folder):
    with Ledger(folder) as ledger:
        settings = ("journal_mode", "synchronous", "cache_spill")
        found = [ledger._connection.execute(f"PRAGMA {s}").fetchone()[0] for s in settings]
    assert found == ["delete", 3, 0]  # 3 is EXTRA
    assert [path.name for path in folder.iterdir()] == [LEDGER_FILE]


def test_another_process_that_hangs_while_writing_is_an_error_in_the_end(folder, monkeypatch):
    monkeypatch.setattr(ledger_file, "BUSY_S", 0.01)
    with Ledger(folder) as first, Ledger(folder) as second:
        with first._writing(), pytest.raises(LedgerError, match=r"locked by another process for"):
            second.claim([1])
        assert second.claim([1]) == [1]


END_ALL_ON_A_FULL_DISK = """
import resource, sys
from optlab.sweep.ledger import Ledger
from tests.sweep.ledgers import ended
ledger = Ledger(sys.argv[1])
runs = ledger.planned(ledger.claim(range(40)))
size = ledger.path.stat().st_size
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
try:
    ledger.end({run.number: ended(run) for run in runs})
except OSError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
print(*ledger.end({run.number: ended(run) for run in runs[:3]}))
"""


def test_a_full_disk_is_one_sentence_and_loses_nothing(folder):
    worker = process(END_ALL_ON_A_FULL_DISK, folder)
    sentence, afterwards = worker.communicate()[0].splitlines()
    assert sentence.startswith(f"{folder / LEDGER_FILE} could not be written or read: the disk is")
    assert "free some space and start the same line again" in sentence
    assert afterwards == "1 2 3"
    with Ledger(folder) as ledger:
        assert sorted(ledger.results()) == [0, 1, 2, 3]


@contextlib.contextmanager
def read_only():
    """Give a sweep's folder that this process cannot write into, be it root or not."""
    where = Path(tempfile.mkdtemp())
    try:
        with Ledger(where) as ledger:
            ledger.enter(planned(where, range(2)), GRID, LINE)
        (where / LEDGER_FILE).chmod(0o444)
        where.chmod(0o555)
        user = os.geteuid()
        os.seteuid(user or 65534)  # root writes anywhere; nobody does not
        try:
            yield where
        finally:
            os.seteuid(user)
    finally:
        where.chmod(0o755)
        shutil.rmtree(where)


def test_a_folder_that_is_read_only_can_be_read_and_not_written():
    with read_only() as folder:
        with LedgerReader(folder) as reader:
            assert reader.missing() == [0, 1]
        with Ledger(folder) as ledger, pytest.raises(LedgerError, match="for writing; make file"):
            ledger.claim([0])


def test_no_ledger_is_made_where_nothing_may_be_written():
    with read_only() as folder, pytest.raises(PermissionError):
        Ledger(folder / "below")


def test_a_reader_makes_no_ledger(tmp_path):
    with pytest.raises(LedgerError, match=r"ledger\.sqlite cannot be opened"):
        LedgerReader(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["start", "middle", "end"])
def test_a_damaged_ledger_is_refused_with_what_to_do(folder, place):
    path = folder / LEDGER_FILE
    content = bytearray(path.read_bytes())
    match place:
        case "start":
            content[:100] = bytes(100)
        case "middle":
            content[4096 : len(content) - 4096] = bytes(len(content) - 8192)
        case "end":
            del content[len(content) // 2 :]
    path.write_bytes(content)
    with pytest.raises(LedgerError, match=r"is damaged; move it away .* over from their folders"):
        Ledger(folder)
    assert path.read_bytes() == content


def test_a_ledger_of_another_version_is_refused(folder):
    with contextlib.closing(sqlite3.connect(folder / LEDGER_FILE)) as connection:
        connection.execute("PRAGMA user_version=2")
    with pytest.raises(ConfigError, match=r"no ledger of this version of optlab \(form 2, not 1\)"):
        Ledger(folder)


def test_another_programs_file_is_left_alone(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / LEDGER_FILE)) as connection:
        connection.execute("CREATE TABLE theirs (value)")
    with pytest.raises(ConfigError, match="is another program's"):
        Ledger(tmp_path)


def test_an_empty_file_is_a_ledger_not_yet_begun(tmp_path):
    (tmp_path / LEDGER_FILE).touch()
    with pytest.raises(ConfigError, match="is empty: start the sweep's line again"):
        LedgerReader(tmp_path)
    with Ledger(tmp_path) as ledger:
        assert ledger.entries() == []


def test_a_mistake_of_ours_stays_as_it_is(folder):
    ledger = Ledger(folder)
    ledger.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        ledger.missing()
