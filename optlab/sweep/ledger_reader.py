"""What a sweep's ledger says, for one who reads it, also while others write."""

import contextlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from optlab.config import check_value
from optlab.results import RunResult, result_from_text
from optlab.sweep.ledger_file import LedgerError, connect, contents, explained
from optlab.sweep.planned import PlannedRun
from optlab.sweep.process import Process
from optlab.sweep.run_folder import LEDGER_FILE

State = Literal["queued", "running", "done", "diverged", "failed", "killed"]

#: States of a run that has its result and is never trained again.
FINAL = ("done", "diverged")

COLUMNS = (
    "number, folder, identity, cell, state, cause, attempts, started, ended, "
    "worker, host, machine, pid, born, label, heard"
)


#: Narrows a query down to the numbers in a JSON list; SQLite takes fewer parameters than runs.
_LISTED = " AND number IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True)
class Entry:
    """The record of one run, without its configuration and result.

    Attributes:
        number: Its place in the sweep, from 0.
        folder: Its run folder.
        identity: Hash of its configuration, from `optlab.identity.config_hash`.
        cell: Hash of its configuration without the seed.
        state: Where it stands; see `optlab.sweep.ledger`.
        cause: Why it ended before its last epoch, or was killed.
        attempts: How often a process took it and did not give it back.
        started, ended: UTC, ISO 8601; of its last attempt.
        process: The process that took it last, if one did.
        worker: What that process is called in the sweep.
        heard: When that process gave its last sign, in seconds since 1970.
    """

    number: int
    folder: Path
    identity: str
    cell: str
    state: State
    cause: str | None
    attempts: int
    started: str | None
    ended: str | None
    process: Process | None
    worker: str
    heard: float

    @property
    def name(self) -> str:
        """Name of the run, for people."""
        return self.folder.name

    def is_orphan(self, now: float) -> bool:
        """Say whether it is running in a process that is gone, at a time in seconds since 1970."""
        return (
            self.state == "running"
            and self.process is not None
            and self.process.is_gone(now - self.heard)
        )

    @property
    def where(self) -> str:
        """The process that took it last, for people."""
        if self.process is None:
            return "nowhere"
        worker = f", {self.worker}" if self.worker else ""
        return f"on {self.process.host} (process {self.process.pid}{worker})"


class LedgerReader:
    """An open ledger that is only read; the file must be there.

    Args:
        folder: The sweep's folder.
        create: Whether to make a ledger where there is none.

    Raises:
        LedgerError: Here and from every method: locked, unreadable or damaged.
    """

    def __init__(self, folder: str | Path, create: bool = False) -> None:
        self.folder = Path(folder)
        self.path = self.folder / LEDGER_FILE
        self._connection = connect(self.path, create)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # On a full disk closing may fail as well; that must not hide the first error.
        with contextlib.suppress(*[LedgerError] if error else []):
            self.close()

    def entries(self, where: str = "TRUE") -> list[Entry]:
        """Return the runs in order, of those that an SQL condition describes."""
        query = f"SELECT {COLUMNS} FROM runs LEFT JOIN workers USING (worker) WHERE {where}"
        with contents(self.path):
            rows = self._connection.execute(f"{query} ORDER BY number").fetchall()
            return [_entry(self.folder, row) for row in rows]

    def missing(self) -> list[int]:
        """Return the numbers of the runs that have no result: all but the done and diverged."""
        with explained(self.path):
            return self._numbers(f"state NOT IN {FINAL}")

    def planned(self, numbers: Iterable[int]) -> list[PlannedRun]:
        """Return the runs as they were entered, in the order asked for."""
        query = "SELECT folder, identity, overrides, config, chosen FROM runs WHERE number = ?"
        runs = []
        for number in numbers:
            with contents(self.path):
                row = self._connection.execute(query, (number,)).fetchone()
                runs.append(_planned(number, self.folder, row))
        return runs

    def results(self, numbers: Sequence[int] | None = None) -> dict[int, RunResult]:
        """Return the recorded results by number, all or those of some runs."""
        query = "SELECT number, result FROM runs WHERE result IS NOT NULL"
        listed, values = ("", []) if numbers is None else (_LISTED, [json.dumps(numbers)])
        with explained(self.path):
            rows = self._connection.execute(f"{query}{listed} ORDER BY number", values).fetchall()
        with contents(self.path):
            return {number: result_from_text(text) for number, text in rows}

    def lines(self) -> list[list[str]]:
        """Return the command lines that runs were entered by, the first one first."""
        with contents(self.path):
            rows = self._connection.execute("SELECT words FROM lines ORDER BY line").fetchall()
            return [check_value(json.loads(words), list[str], "words") for (words,) in rows]

    def unfinished_lines(self) -> list[list[str]]:
        """Return the command lines whose runs are not all finished, the first one first."""
        query = f"SELECT line FROM runs WHERE state NOT IN {FINAL}"
        with contents(self.path):
            rows = self._connection.execute(
                f"SELECT words FROM lines WHERE line IN ({query}) ORDER BY line"
            ).fetchall()
            return [check_value(json.loads(words), list[str], "words") for (words,) in rows]

    def _numbers(self, where: str, among: Sequence[int] | None = None) -> list[int]:
        query = f"SELECT number FROM runs WHERE {where}{_LISTED if among is not None else ''}"
        values = [] if among is None else [json.dumps(among)]
        rows = self._connection.execute(f"{query} ORDER BY number", values)
        return [number for (number,) in rows]


def _planned(number: int, folder: Path, row: tuple[str, str, str, str, str]) -> PlannedRun:
    """Return a run as it was entered, unless something else was written into its place."""
    place, identity, *texts = row
    overrides, config, chosen = map(json.loads, texts)
    run = PlannedRun(number, tuple(overrides), config, _inside(folder, place), frozenset(chosen))
    if run.identity != identity:
        raise ValueError(f"run {number} is {run.identity}, and {identity} was entered")
    return run


def _inside(folder: Path, place: str) -> Path:
    """Return a run's folder, which lies in that of its sweep."""
    if Path(place).is_absolute() or ".." in Path(place).parts:
        raise ValueError(f"{place!r} lies outside")
    return folder / place


def _entry(folder: Path, row: tuple[Any, ...]) -> Entry:
    number, place, identity, cell, state, cause, attempts, started, ended = row[:9]
    worker, host, machine, pid, born, label, heard = row[9:]
    return Entry(
        *(number, _inside(folder, place), identity, cell, state, cause, attempts, started, ended),
        process=None if worker is None else Process(host, machine, pid, born),
        worker=label or "",
        heard=heard or 0.0,
    )
