"""TensorBoard event files, written record by record.

Why not `torch.utils.tensorboard`: importing it takes a second, it needs 36 us per scalar where one
event with all values of an update needs about 7, and it puts hyperparameters into a child run,
never grouped. Why not TensorBoard's own asynchronous writer: most of the cost is the checksum,
computed in Python under the same lock, and when the disk is full its thread dies quietly. Here a
record is in the operating system's hands when `log` returns: a killed process loses none, a
running TensorBoard sees it, and a full disk raises at the first record that does not fit.
"""

import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.plugins.text.metadata import create_summary_metadata

from optlab.loggers import event_file
from optlab.results import RunResult


class TensorBoardLogger:
    """Writes one event file into the run's folder, hyperparameters included.

    A second logger on the same folder starts the run over: TensorBoard then shows only its curves.

    Args:
        folder: The run folder; its path below TensorBoard's ``--logdir`` names the run.
        hparams: Hyperparameters by dotted name, without the seed: the table has one row per group.
            Numbers, texts and booleans stay what they are; anything else becomes a text.
        group: Name shared by the runs that differ only in their seed, such as
            `optlab.results.cell_hash`; TensorBoard's table averages them.

    Raises:
        OSError: From every method, when the record cannot be written.
    """

    def __init__(self, folder: str | Path, hparams: Mapping[str, object], group: str) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        self._file = (Path(folder) / event_file.file_name()).open("xb")
        self._ended = False
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
        tensor = TensorProto(dtype="DT_STRING", string_val=[markdown.encode()])
        value = Summary.Value(tag=tag, tensor=tensor, metadata=create_summary_metadata(tag, ""))
        event = Event(wall_time=time.time(), summary=Summary(value=[value]))
        self._write(event_file.record(event))

    def finish(self, result: RunResult) -> None:
        """Mark the run's row in the hyperparameter table as succeeded if it is done."""
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
        self._write(event_file.last_record(result))

    def _write(self, records: bytes) -> None:
        self._file.write(records)
        self._file.flush()
