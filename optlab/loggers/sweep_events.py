"""The event files of a stack's runs, one for each that TensorBoard is given."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from optlab.loggers import event_file
from optlab.loggers.base import Position
from optlab.loggers.buffer import Records
from optlab.loggers.scalar_records import Bytes, scalar_records, step_bytes
from optlab.results import RunResult, named


@dataclass(frozen=True)
class LoggedRun:
    """A run as its records name it.

    Attributes:
        folder: The run folder, which lies in the sweep's folder.
        hparams: Hyperparameters by dotted name, as `TensorBoardLogger` takes them.
        group: Name shared by the runs that differ only in their seed.
        has_events: Whether TensorBoard is given the run, where it is given any.
        texts: What is written about it at its beginning, in markdown by tag.
    """

    folder: Path
    hparams: Mapping[str, object]
    group: str
    has_events: bool = True
    texts: Mapping[str, str] = field(default_factory=dict)


class EventFiles:
    """One event file for each run that has one, open only while it is written to.

    Args:
        runs: The runs; their places here are their numbers.
        since: What `position` returned in an earlier process.

    Attributes:
        num_bytes: Of histograms and pictures that wait to be written.

    Raises:
        LostRecords: When what was written before is not there any more.
    """

    def __init__(self, runs: Sequence[LoggedRun], since: Position | None = None) -> None:
        shown = {i: run for i, run in enumerate(runs) if run.has_events}
        folders = [run.folder for run in shown.values()]
        self._name = event_file.file_name(*folders) if since is None else Path(since["file"]).name
        self._paths = {i: run.folder / self._name for i, run in shown.items()}
        self._first = {
            i: event_file.first_records(run.hparams, run.group) + event_file.texts_record(run.texts)
            for i, run in shown.items()
        }
        self._beside: defaultdict[int, list[bytes]] = defaultdict(list)
        self.num_bytes = 0
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

    def add(self, run: int, record: Callable[[], bytes]) -> None:
        """Make and note a record that is not of scalars, where the run has a file."""
        if run in self._paths:
            self._beside[run].append(record())
            self.num_bytes += len(self._beside[run][-1])

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
        for run in sorted({*curves, *self._first, *self._beside, *self._last}):
            beside = b"".join(self._beside.get(run, ()))
            parts = (self._first.get(run), beside, curves.get(run), self._last.get(run))
            path = self._paths[run]
            if run in self._first and not path.parent.is_dir():
                path.parent.mkdir(parents=True)
            with named(path), path.open("ab") as file:
                file.write(b"".join(part for part in parts if part is not None))
        self._first, self._last = {}, {}
        self._beside.clear()
        self.num_bytes = 0


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


def _encoded(records: Records) -> list[tuple[np.ndarray, np.ndarray, Bytes]]:
    """Return runs, places and bytes of records, apart where these are of other lengths."""
    sizes = step_bytes(records.updates)
    found = []
    for size in np.unique(sizes):
        at = np.flatnonzero(sizes == size)
        data = scalar_records(
            records.tags, records.times[at], records.updates[at], records.values[at]
        )
        found.append((records.runs[at], records.places[at], data))
    return found
