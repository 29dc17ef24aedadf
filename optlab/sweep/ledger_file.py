"""The file of a sweep's ledger: how it is opened, what its tables are, and its errors in words.

SQLite with a rollback journal and every write forced to the disk (``synchronous=EXTRA``). A
transaction is there whole or not at all after a kill or a power cut at any instant: whoever opens
the file next rolls the unfinished one back. Readers read while others write and wait only for the
moment of a commit. The write-ahead log, SQLite's other way, would be quicker, but cannot be
shared between hosts, and a copy of the file alone would lack the last records.

Never open the file by other means in a process that has a ledger open: closing it would drop
SQLite's locks (https://sqlite.org/howtocorrupt.html, section 2.2).
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from optlab.config import ConfigError

#: Seconds to wait for another process's write.
BUSY_S = 60.0

#: Marks the file as an optlab ledger ("optl") and tells its form.
APPLICATION, VERSION = 0x6F70746C, 1

#: The file may be another's, and shall not act; see above for the rest.
SETTINGS = ("trusted_schema=OFF", "synchronous=EXTRA", "fullfsync=ON", "cache_spill=OFF")

SCHEMA = """\
CREATE TABLE lines (
    line INTEGER PRIMARY KEY,
    grid TEXT NOT NULL,   -- {"varied": [...], "held": [...]}
    words TEXT NOT NULL   -- of the command line, a list
);
CREATE TABLE workers (
    worker INTEGER PRIMARY KEY,
    host TEXT NOT NULL, machine TEXT NOT NULL, pid INTEGER NOT NULL, born TEXT NOT NULL,
    label TEXT NOT NULL,    -- which of the sweep's workers, for people
    heard REAL NOT NULL     -- its last sign, seconds since 1970
);
CREATE TABLE runs (
    number INTEGER PRIMARY KEY,
    folder TEXT NOT NULL UNIQUE,    -- relative to the sweep's folder
    identity TEXT NOT NULL UNIQUE,  -- hash of the configuration
    cell TEXT NOT NULL,             -- hash of the configuration without the seed
    line INTEGER NOT NULL REFERENCES lines,  -- the one that entered it
    overrides TEXT NOT NULL, config TEXT NOT NULL, chosen TEXT NOT NULL,  -- JSON
    state TEXT NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'running', 'done', 'diverged', 'failed', 'killed')),
    cause TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    worker INTEGER REFERENCES workers,  -- the last one
    started TEXT, ended TEXT,           -- UTC, ISO 8601
    result TEXT                         -- as result.json says it
);
CREATE INDEX states ON runs (state);
"""


class LedgerError(OSError):
    """The ledger cannot be read or written; what was recorded in it stays as it is."""


def connect(path: Path, create: bool) -> sqlite3.Connection:
    """Open the ledger's file and check that it is whole.

    Args:
        path: The file.
        create: Whether to make file and tables where they are missing.

    Raises:
        LedgerError: When it cannot be opened, is damaged, or of another form.
    """
    with explained(path):
        mode = "rwc" if create else "rw"  # rolls a killed process's transaction back
        uri = f"{path.absolute().as_uri()}?mode={mode}"
        connection = sqlite3.connect(uri, timeout=BUSY_S, isolation_level=None, uri=True)
        connection.text_factory = bytes.decode  # raises an error of its own for what is no text
        try:
            _prepare(connection, path, create)
        except BaseException:
            connection.close()
            raise
    return connection


@contextlib.contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """Do what is inside as one transaction that no other process writes into; all or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # after some errors SQLite has rolled back by itself
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into sentences.

    Raises:
        LedgerError: With what happened and what to do.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        sentence = _sentence(getattr(error, "sqlite_errorcode", 0) & 0xFF)
        if not sentence:  # a mistake of ours, such as a closed connection
            raise
        raise LedgerError(f"{path} {sentence} (SQLite: {error})") from error
    except UnicodeDecodeError as error:
        raise damaged(path, f"{error}") from error


@contextlib.contextmanager
def contents(path: Path) -> Iterator[None]:
    """Read what texts in the ledger say; one that says something else is damage.

    Raises:
        LedgerError: As `explained`, and for such a text.
    """
    with explained(path):
        try:
            yield
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise damaged(path, f"{type(error).__name__}: {error}") from error


def damaged(path: Path, what: str) -> LedgerError:
    """Build the error for a ledger that is no longer what was written."""
    return LedgerError(f"{path} {_sentence(sqlite3.SQLITE_CORRUPT)} ({what})")


def _prepare(connection: sqlite3.Connection, path: Path, create: bool) -> None:
    try:
        for setting in SETTINGS:
            connection.execute(f"PRAGMA {setting}")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        raise damaged(path, f"SQLite: {error}") from error
    if create and _value(connection, "user_version") == 0:
        _make_tables(connection, path)
    form = (_value(connection, "application_id"), _value(connection, "user_version"))
    if form == (0, 0):
        raise ConfigError(f"{path} is empty: start the sweep's line again, which makes it anew")
    if form != (APPLICATION, VERSION):
        raise ConfigError(
            f"{path} is no ledger of this version of optlab (form {form[1]}, not {VERSION}); "
            "use the version that wrote it, or choose another sweep.dir"
        )
    state = _value(connection, "quick_check(1)")
    if state != "ok":
        raise damaged(path, f"SQLite: {state}")
    tables = {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master") if sql}
    if tables != {statement for statement in SCHEMA.split(";\n") if statement}:
        raise damaged(path, "its tables are others")


def _make_tables(connection: sqlite3.Connection, path: Path) -> None:
    with writing(connection):
        if _value(connection, "user_version") != 0:
            return  # another process was quicker
        if connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise ConfigError(f"{path} is another program's; choose another sweep.dir")
        for statement in SCHEMA.split(";\n"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id={APPLICATION}")
        connection.execute(f"PRAGMA user_version={VERSION}")


def _value(connection: sqlite3.Connection, pragma: str) -> object:
    return connection.execute(f"PRAGMA {pragma}").fetchone()[0]


def _sentence(code: int) -> str:
    """Say what a primary result code of SQLite means for a ledger, and what to do."""
    match code:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return (
                f"has been locked by another process for {BUSY_S:g} s; end that process if it "
                "hangs, and start the same line again"
            )
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            return (
                "could not be written or read: the disk is full, over its quota or failing; what "
                "was recorded is kept: free some space and start the same line again"
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return (
                "cannot be opened for writing; make file and folder writable, or choose another "
                "sweep.dir"
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return (
                "is damaged; move it away (with its -journal, if there is one) and start the "
                "same line again: finished runs are taken over from their folders"
            )
    return ""
