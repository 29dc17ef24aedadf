"""The ledger of a sweep: one record per run, shared by every process that works on it.

It is the file ``ledger.sqlite`` in the sweep's folder (`optlab.sweep.ledger_file` says why nothing
that was recorded is lost). A run is known by the hash of its configuration and goes through these
states::

    queued -> running -> done | diverged          results: they stay for good
                      -> failed | killed          tried again when the sweep is started again
                      -> queued                   its process is gone, or gave it back

A run whose process has vanished `MAX_ATTEMPTS` times is killed: it may well be what ends them.
What is missing is everything that is neither done nor diverged; to resume is to train that.
"""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from optlab.results import RunResult, result_text
from optlab.sweep.ledger_file import explained, writing
from optlab.sweep.ledger_grid import add_runs, refuse_doubles, refuse_other_sweep
from optlab.sweep.ledger_reader import FINAL, LedgerReader
from optlab.sweep.planned import PlannedRun
from optlab.sweep.process import this_process
from optlab.sweep.run_folder import Grid, finished_result

#: Processes that may vanish under a run before it is left alone.
MAX_ATTEMPTS = 3

#: Seconds between the signs of life that a worker writes down.
BEAT_S = 30.0

#: In which state a result leaves its run.
STATE_OF = {"done": "done", "diverged": "diverged", "failed": "failed", "interrupted": "killed"}


class Ledger(LedgerReader):
    """An open ledger to write into, for one thread of one process; made where it is missing.

    Use it as a context: on leaving, runs that it claimed and did not end go back to the queue.

    Args:
        folder: The sweep's folder.
        worker: What this process is called in the sweep, such as ``"cuda:1"``, for people.

    Raises:
        LedgerError: Here and from every method: locked, read-only, full or damaged.
    """

    def __init__(self, folder: str | Path, worker: str = "") -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        super().__init__(folder, create=True)
        self.label = worker
        self._worker: int | None = None
        self._beaten_s = 0.0

    def close(self) -> None:
        """Give back what was claimed and has not ended, and close the file."""
        try:
            self.put_back()
        finally:
            super().close()

    def enter(
        self,
        runs: Sequence[PlannedRun],
        grid: Grid,
        line: Sequence[str],
        extend: bool = False,
    ) -> list[PlannedRun]:
        """Register the runs of a sweep, all or none, and return them as the ledger knows them.

        A run that is known keeps its number, its folder and its record. One whose folder holds
        its result already, from a sweep without a ledger or with one that was lost, is done.

        Args:
            runs: The runs; each configuration once.
            grid: What they vary and hold.
            line: Words after ``optlab sweep``, for whoever wants to continue.
            extend: Whether the folder may belong to another grid, or to fewer runs of this one.

        Returns:
            The same runs with the ledger's numbers and folders.

        Raises:
            FolderTakenError: When that is not so, or a run's folder is another run's.
            ConfigError: When two of the runs are the same.
        """
        refuse_doubles(runs)
        with self._writing():
            if not extend:
                refuse_other_sweep(self._connection, self.folder, runs, grid)
            add_runs(self._connection, self.folder, runs, grid, line)
            places = self._places()
            entered = [self._placed(run, *places[run.identity]) for run in runs]
            self._take_over(entered)
        return entered

    def claim(self, numbers: Iterable[int]) -> list[int]:
        """Take those of the runs that are queued, and return them; no other process gets them."""
        with self._writing():
            wanted = list(dict.fromkeys(numbers))
            queued = set(self._numbers("state = 'queued'", among=wanted))
            mine = [number for number in wanted if number in queued]
            worker = self._signed() if mine else self._worker
            self._connection.executemany(
                "UPDATE runs SET state = 'running', cause = NULL, attempts = attempts + 1, "
                "worker = ?, started = ?, ended = NULL, result = NULL WHERE number = ?",
                [(worker, _now(), number) for number in mine],
            )
        self._worker = worker
        return mine

    def end(self, results: Mapping[int, RunResult]) -> list[int]:
        """Record how runs ended, all or none; return those recorded.

        A result stays: what comes for a run that is done or diverged already is passed over, and
        so is a failure of a run that meanwhile is another process's.
        """
        rows = [
            (STATE_OF[r.status], r.cause, _now(), result_text(r), number, self._worker)
            for number, r in results.items()
        ]
        with self._writing():
            return [row[4] for row in rows if self._record(row)]

    def put_back(self, numbers: Iterable[int] | None = None) -> None:
        """Give runs of this process that have not ended back to the queue, as never claimed."""
        if self._worker is None:
            return
        with self._writing():
            held = set(self._numbers(f"state = 'running' AND worker = {self._worker}"))
            self._connection.executemany(
                "UPDATE runs SET state = 'queued', attempts = attempts - 1 WHERE number = ?",
                [(number,) for number in (held if numbers is None else held & set(numbers))],
            )

    def release(self) -> list[int]:
        """Put the runs of processes that are gone back into the queue, and return them.

        A run that has lost `MAX_ATTEMPTS` processes is killed instead.
        """
        with self._writing():
            lost = [e for e in self.entries("state = 'running'") if e.is_orphan(time.time())]
            for each in lost:
                if each.attempts < MAX_ATTEMPTS:
                    state, cause, ended = "queued", None, None
                else:
                    state, ended = "killed", _now()
                    cause = f"its process vanished {each.attempts} times, the last {each.where}"
                self._connection.execute(
                    "UPDATE runs SET state = ?, cause = ?, ended = ? WHERE number = ?",
                    (state, cause, ended, each.number),
                )
        return [each.number for each in lost if each.attempts < MAX_ATTEMPTS]

    def retry(self, numbers: Iterable[int]) -> list[int]:
        """Put those of the runs that failed or were killed back into the queue; return them.

        One that has lost `MAX_ATTEMPTS` processes gets one more.
        """
        with self._writing():
            ended = set(self._numbers("state IN ('failed', 'killed')"))
            again = [number for number in dict.fromkeys(numbers) if number in ended]
            self._connection.executemany(
                "UPDATE runs SET state = 'queued', cause = NULL, result = NULL, "
                f"attempts = iif(attempts < {MAX_ATTEMPTS}, 0, {MAX_ATTEMPTS - 1}) "
                "WHERE number = ?",
                [(number,) for number in again],
            )
        return again

    def beat(self) -> None:
        """Leave a sign of life; call it often, it writes one every `BEAT_S`."""
        if self._worker is not None and time.monotonic() - self._beaten_s >= BEAT_S:
            with self._writing():
                self._signed()

    def came_further(self, numbers: Iterable[int]) -> None:
        """Note that runs of this process have come further than any attempt before."""
        with self._writing():
            self._connection.executemany(
                "UPDATE runs SET attempts = 1 WHERE number = ? AND worker = ? AND attempts > 1",
                [(number, self._worker) for number in numbers],
            )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with explained(self.path), writing(self._connection):
            yield

    def _places(self) -> dict[str, tuple[int, str]]:
        rows = self._connection.execute("SELECT identity, number, folder FROM runs")
        return {identity: (number, folder) for identity, number, folder in rows}

    def _placed(self, run: PlannedRun, number: int, folder: str) -> PlannedRun:
        placed = replace(run, number=number, folder=self.folder / folder)
        placed.__dict__["identity"] = run.identity
        return placed

    def _take_over(self, runs: Iterable[PlannedRun]) -> None:
        """Record results that lie in the folders of runs that have none here."""
        missing = set(self._numbers(f"state NOT IN {FINAL}"))
        for run in runs:
            if run.number in missing and (found := finished_result(run.folder, run.identity)):
                self._connection.execute(
                    "UPDATE runs SET started = ? WHERE number = ?", (found.started, run.number)
                )
                text = result_text(found)
                self._record((found.status, found.cause, None, text, run.number, None))

    def _record(self, row: tuple[str, str | None, str | None, str, int, int | None]) -> bool:
        """Write one end; say whether the run still wanted it."""
        *values, number, worker = row
        stays = f"state NOT IN {FINAL}"
        if row[0] not in FINAL:
            stays = f"state = 'running' AND worker = {worker or 0}"
        cursor = self._connection.execute(
            "UPDATE runs SET state = ?, cause = ?, ended = ?, result = ? "
            f"WHERE number = ? AND {stays}",
            (*values, number),
        )
        return cursor.rowcount == 1

    def _signed(self) -> int:
        """Return this process's row among the workers, with the time; make it the first time."""
        self._beaten_s = time.monotonic()
        if self._worker is not None:
            self._connection.execute(
                "UPDATE workers SET heard = ? WHERE worker = ?", (time.time(), self._worker)
            )
            return self._worker
        here = this_process()
        values = (here.host, here.machine, os.getpid(), here.born, self.label, time.time())
        cursor = self._connection.execute(
            "INSERT INTO workers (host, machine, pid, born, label, heard) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            values,
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
