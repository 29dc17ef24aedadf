"""The curves of a stack's runs: one table for the sweep, one TensorBoard run for each.

Records wait in memory and are written together every few seconds, for what a record costs is
mostly what a call of Python costs: alone it takes ten microseconds, among thousands less than two.
"""

import time
from collections.abc import Mapping, Sequence
from itertools import starmap

import numpy as np
import numpy.typing as npt

from optlab.config.schema import LoggerConfig
from optlab.loggers import event_file
from optlab.loggers.base import Position, require_position
from optlab.loggers.buffer import RecordBuffer
from optlab.loggers.event_values import image_value
from optlab.loggers.sweep_events import EventFiles, LoggedRun
from optlab.loggers.sweep_table import SweepTable
from optlab.loggers.table import METRICS_FILE
from optlab.results import RunResult

FLUSH_S = 5.0  # between two writes
REST = 100  # times what a write took pass before the next: slow disks get fewer and larger ones
MAX_VALUES = 1_000_000  # in memory; writing them takes 200 bytes for each
MAX_BYTES = 2**26  # of histograms in memory


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
        self._events = EventFiles(runs, since.get("tensorboard")) if wanted.tensorboard else None
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

    def histograms(
        self, run: int, update: int, numbers: Mapping[str, npt.NDArray[np.generic]]
    ) -> None:
        """Record how weights and gradients of a run are distributed, where TensorBoard has it."""
        if self._events:
            self._events.add(run, lambda: event_file.histograms_record(update, numbers))
            self._flush_if_due()

    def draw(
        self, run: int, update: int, pictures: Mapping[str, bytes], texts: Mapping[str, str]
    ) -> None:
        """Record pictures (PNG) and texts (markdown) by tag, where TensorBoard has the run."""
        if self._events:
            images = starmap(image_value, pictures.items())
            self._events.add(run, lambda: event_file.values_record(images, update))
            self._events.add(run, lambda: event_file.texts_record(texts))
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
        waiting = 0 if self._events is None else self._events.num_bytes
        is_much = self._buffer.num_values >= MAX_VALUES or waiting >= MAX_BYTES
        if is_much or time.perf_counter() >= self._due_s:
            self.flush()
