"""TensorBoard event files, written record by record.

Why not `torch.utils.tensorboard`: importing it takes a second, it needs 36 us per scalar where one
event with all values of an update needs about 7, and it puts hyperparameters into a child run,
never grouped. Why not TensorBoard's own asynchronous writer: most of the cost is the checksum,
computed in Python under the same lock, and when the disk is full its thread dies quietly. Here a
record is in the operating system's hands when `log` returns: a killed process loses none, a
running TensorBoard sees it, and a full disk raises at the first record that does not fit.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tensorboard.compat.proto.event_pb2 import Event

from optlab.loggers import event_file
from optlab.loggers.base import Position
from optlab.loggers.event_values import image_value
from optlab.results import RunResult, named


class TensorBoardLogger:
    """Writes one event file into the run's folder, hyperparameters included.

    A second logger on the same folder starts the run over: TensorBoard then shows only its curves.

    Args:
        folder: The run folder; its path below TensorBoard's ``--logdir`` names the run.
        hparams: Hyperparameters by dotted name, without the seed: the table has one row per group.
            Numbers, texts and booleans stay what they are; anything else becomes a text.
        group: Name shared by the runs that differ only in their seed, such as
            `optlab.identity.cell_hash`; TensorBoard's table averages them.
        since: What `position` returned in an earlier process: its file goes on from there.

    Raises:
        OSError: From every method, when the record cannot be written.
        LostRecords: When what was written before is not there any more.
    """

    def __init__(
        self,
        folder: str | Path,
        hparams: Mapping[str, object],
        group: str,
        since: Position | None = None,
    ) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        self._ended = False
        if since is not None:
            path = Path(folder) / Path(since["file"]).name
            self._file = event_file.reopened(path, since["bytes"])
            event_file.remove_later(path)
        else:
            self._file = (Path(folder) / event_file.file_name(Path(folder))).open("xb")
            self._write(event_file.first_records(hparams, group))

    def log(self, update: int, epoch: float, values: Mapping[str, float]) -> None:
        """Write all values as one event of step ``update``."""
        event = Event(wall_time=time.time(), step=update)
        add = event.summary.value.add
        for tag, value in values.items():
            add(tag=tag, simple_value=value)
        self._write(event_file.record(event))

    def text(self, tag: str, markdown: str) -> None:
        """Write a text for TensorBoard's text page."""
        self._write(event_file.texts_record({tag: markdown}))

    def histograms(self, update: int, numbers: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Write how numbers of any shape are distributed, by tag, as one event."""
        self._write(event_file.histograms_record(update, numbers))

    def image(self, tag: str, update: int, png: bytes) -> None:
        """Write a picture for TensorBoard's page of images."""
        self._write(event_file.values_record([image_value(tag, png)], update))

    def position(self) -> Position:
        """Force what was written to the disk, and return how far it is."""
        os.fsync(self._file.fileno())
        return {"file": Path(self._file.name).name, "bytes": self._file.tell()}

    def finish(self, result: RunResult) -> None:
        """Write verdicts as a text, and mark the run's row of the table as succeeded if it is."""
        self._end(result)

    def close(self) -> None:
        """Close the file; a run without a result counts as failed."""
        if self._file.closed:
            return
        try:
            if not self._ended:
                self._end(None)
        finally:
            self._file.close()

    def _end(self, result: RunResult | None) -> None:
        self._ended = True
        self._write(event_file.last_records(result))

    def _write(self, records: bytes) -> None:
        with named(Path(self._file.name)):
            self._file.write(records)
            self._file.flush()
