"""The curves of a stack's runs: one table for the sweep, one TensorBoard run for each.

Records wait in memory and are written together every few seconds, for what a record costs is
mostly what a call of Python costs: alone it takes ten microseconds, among thousands less than two.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from optlab.config.schema import LoggerConfig
from optlab.loggers import event_file
from optlab.loggers.base import Position, require_position
from optlab.loggers.buffer import RecordBuffer, Records
from optlab.loggers.sweep_table import SweepTable
from optlab.loggers.table import METRICS_FILE
from optlab.results import RunResult, named

FLUSH_S = 5.0  # between two writes
REST = 100  # times what a write took pass before the next: slow disks get fewer and larger ones
MAX_VALUES = 1_000_000  # in memory; writing them takes 200 bytes for each


@dataclass(frozen=True)
class LoggedRun:
    """A run as its records name it.

    Attributes:
        folder: The run folder, which lies in the sweep's folder.
        hparams: Hyperparameters by dotted name, as `TensorBoardLogger` takes them.
        group: Name shared by the runs that differ only in their seed.
        has_events: Whether TensorBoard is given the run, where it is given any.
    """

    folder: Path
    hparams: Mapping[str, object]
    group: str
    has_events: bool = True


class SweepRecords:
    """Writes the records of one attempt at some runs of a sweep; an `optlab.train.stack.Sink`.

    What a killed process had not written yet is lost, so a run has ended for good only after the
    `flush` or `close` that follows its `finish`. The first error ends it: nothing more is written.

    Args:
        runs: The runs; their places here are their numbers.
        wanted: Which files to write. It says nothing about the terminal.
        since: What `position` returned in an earlier process: the attempt goes on from there.

    Raises:
        ValueError: When the runs do not lie in one folder.
        OSError: From every method, when records cannot be written.
        LostRecords: When what was written before is not there any more.
    """

    def __init__(
        self, runs: Sequence[LoggedRun], wanted: LoggerConfig, since: Position | None = None
    ) -> None:
        folders = sorted({run.folder.parent for run in runs})
        if len(folders) != 1:
            raise ValueError(f"runs of one sweep lie in one folder, got {folders}")
        self._buffer = RecordBuffer()
        self._table: SweepTable | None = None
        if since is not None:
            require_position(since, wanted)
        since = since or {}
        self._events = _EventFiles(runs, since.get("tensorboard")) if wanted.tensorboard else None
        if wanted.table:
            names = [run.folder.name for run in runs]
            self._table = SweepTable(folders[0], names, since.get("table"))
            for run in runs:  # of an earlier attempt at this run alone
                (run.folder / METRICS_FILE).unlink(missing_ok=True)
        self._closed = False
        self._due_s = time.perf_counter() + FLUSH_S

    def log(self, run: int, update: int, epoch: float, values: Mapping[str, float]) -> None:
        """Record values of one run."""
        self._buffer.add(run, update, epoch, values)
        self._flush_if_due()

    def log_block(
        self,
        runs: Sequence[int],
        updates: Sequence[int],
        epochs: Sequence[float],
        tags: Sequence[str],
        values: np.ndarray,
    ) -> None:
        """Record values of several runs at the same updates."""
        self._buffer.add_block(runs, updates, epochs, tags, values)
        self._flush_if_due()

    def finish(self, run: int, result: RunResult) -> None:
        """Record how a run ended; at most once."""
        if self._events:
            self._events.end(run, result)

    def flush(self) -> None:
        """Write what there is."""
        self._refuse_after_the_end()
        started = time.perf_counter()
        records, self._closed = self._buffer.take(), True
        if self._table and records:
            self._table.write(records)
        if self._events:
            self._events.write(records)
        self._closed = False
        ended = time.perf_counter()
        self._due_s = ended + max(FLUSH_S, REST * (ended - started))

    def position(self) -> Position:
        """Write what there is, and return how far that is."""
        self.flush()
        return {
            "table": None if self._table is None else self._table.position(),
            "tensorboard": None if self._events is None else self._events.position(),
        }

    def close(self) -> None:
        """Write what is left; a run without a result counts as failed. Again it does nothing."""
        if not self._closed:
            if self._events:
                self._events.end_others()
            self.flush()
            self._closed = True

    def _refuse_after_the_end(self) -> None:
        if self._closed:
            raise ValueError("records of a sweep cannot be written after `close` or an error")

    def _flush_if_due(self) -> None:
        self._refuse_after_the_end()
        if time.perf_counter() >= self._due_s or self._buffer.num_values >= MAX_VALUES:
            self.flush()


class _EventFiles:
    """One event file for each run that has one, open only while it is written to."""

    def __init__(self, runs: Sequence[LoggedRun], since: Position | None = None) -> None:
        shown = {i: run for i, run in enumerate(runs) if run.has_events}
        folders = [run.folder for run in shown.values()]
        self._name = event_file.file_name(*folders) if since is None else Path(since["file"]).name
        self._paths = {i: run.folder / self._name for i, run in shown.items()}
        self._first = {
            i: event_file.first_records(run.hparams, run.group) for i, run in shown.items()
        }
        self._last: dict[int, bytes] = {}
        self._ended: set[int] = set()
        sizes = {} if since is None else since["bytes"]
        for run, path in self._paths.items():
            if path.parent.name in sizes:
                event_file.reopened(path, sizes[path.parent.name]).close()
                event_file.remove_later(path)
                del self._first[run]

    def position(self) -> Position:
        """Return how many bytes the files have."""
        sizes = {path.parent.name: event_file.forced(path) for path in self._paths.values()}
        return {"file": self._name, "bytes": sizes}

    def end(self, run: int, result: RunResult | None) -> None:
        """Note how a run ended, to be written after its records."""
        self._ended.add(run)
        if run in self._paths:
            self._last[run] = event_file.last_records(result)

    def end_others(self) -> None:
        """Note that the runs which have not ended failed."""
        for run in self._paths.keys() - self._ended:
            self.end(run, None)

    def write(self, records: Sequence[Records]) -> None:
        """Write records, and what was noted, to the runs' files."""
        curves = _by_run([_of_runs(own, list(self._paths)) for own in records])
        for run in sorted({*curves, *self._first, *self._last}):
            parts = (self._first.get(run), curves.get(run), self._last.get(run))
            path = self._paths[run]
            if run in self._first and not path.parent.is_dir():
                path.parent.mkdir(parents=True)
            with named(path), path.open("ab") as file:
                file.write(b"".join(part for part in parts if part is not None))
        self._first, self._last = {}, {}


def _of_runs(records: Records, runs: Sequence[int]) -> Records:
    """Return the records of some runs."""
    at = np.flatnonzero(np.isin(records.runs, runs))
    columns = ("runs", "updates", "epochs", "times", "places", "values")
    return Records(records.tags, *(getattr(records, name)[at] for name in columns))


def _by_run(records: Sequence[Records]) -> dict[int, memoryview]:
    """Return the bytes of each run's records, in the order in which they were made."""
    pieces = [piece for own in records for piece in _encoded(own)]
    if not pieces:
        return {}
    runs = np.concatenate([own for own, _, _ in pieces])
    places = np.concatenate([own for _, own, _ in pieces])
    lengths = np.concatenate([np.full(len(data), data.shape[1]) for _, _, data in pieces])
    order = np.lexsort((places, runs))
    ends = np.cumsum(lengths[order])
    starts = np.empty_like(ends)
    starts[order] = ends - lengths[order]
    content = np.empty(ends[-1], np.uint8)
    row = 0
    for *_, data in pieces:
        own = starts[row : row + len(data)]
        content[own[:, None] + np.arange(data.shape[1])] = data
        row += len(data)
    found, first = np.unique(runs[order], return_index=True)
    bounds = [*(ends - lengths[order])[first].tolist(), len(content)]
    whole = content.data
    return {run: whole[slice(*bounds[i : i + 2])] for i, run in enumerate(found.tolist())}


def _encoded(records: Records) -> list[tuple[np.ndarray, np.ndarray, event_file.Bytes]]:
    """Return runs, places and bytes of records, apart where these are of other lengths."""
    sizes = event_file.step_bytes(records.updates)
    found = []
    for size in np.unique(sizes):
        at = np.flatnonzero(sizes == size)
        data = event_file.scalar_records(
            records.tags, records.times[at], records.updates[at], records.values[at]
        )
        found.append((records.runs[at], records.places[at], data))
    return found
