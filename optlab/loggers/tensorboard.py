"""TensorBoard event files, written record by record.

Why not `torch.utils.tensorboard`: importing it takes a second, it needs 36 us per scalar where one
event with all values of an update needs about 4, and it puts hyperparameters into a child run,
never grouped. Why not TensorBoard's own asynchronous writer: most of the cost is the checksum,
computed in Python under the same lock, and when the disk is full its thread dies quietly. Here a
record is in the operating system's hands when `log` returns: a killed process loses none, a
running TensorBoard sees it, and a full disk raises at the first record that does not fit.
"""

import math
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2, summary_v2
from tensorboard.plugins.text.metadata import create_summary_metadata
from tensorboard.summary.writer.record_writer import RecordWriter

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
        self._file = (Path(folder) / _file_name()).open("xb")
        self._records = RecordWriter(self._file)
        self._ended = False
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        self._write(Event(wall_time=time.time(), session_log=SessionLog(status=SessionLog.START)))
        values = {name: _hparam(value) for name, value in hparams.items()}
        self._write_summary(0, summary_v2.hparams_pb(values, trial_id=group))

    def log(self, update: int, epoch: float, values: Mapping[str, float]) -> None:
        """Write all values as one event of step ``update``."""
        event = Event(wall_time=time.time(), step=update)
        add = event.summary.value.add
        for tag, value in values.items():
            add(tag=tag, simple_value=value)
        self._write(event)

    def text(self, tag: str, markdown: str) -> None:
        """Write a text for TensorBoard's text page."""
        tensor = TensorProto(dtype="DT_STRING", string_val=[markdown.encode()])
        value = Summary.Value(tag=tag, tensor=tensor, metadata=create_summary_metadata(tag, ""))
        self._write_summary(0, Summary(value=[value]))

    def finish(self, result: RunResult) -> None:
        """Mark the run's row in the hyperparameter table as succeeded if it is done."""
        self._end(api_pb2.STATUS_SUCCESS if result.status == "done" else api_pb2.STATUS_FAILURE)

    def close(self) -> None:
        """Close the file; a run without a result counts as failed."""
        if self._file.closed:
            return
        try:
            if not self._ended:
                self._end(api_pb2.STATUS_FAILURE)
        finally:
            self._file.close()

    def _end(self, status: int) -> None:
        self._ended = True
        info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
        content = plugin_data_pb2.HParamsPluginData(session_end_info=info)
        value = Summary.Value(
            tag=metadata.SESSION_END_INFO_TAG,
            tensor=metadata.NULL_TENSOR,
            metadata=metadata.create_summary_metadata(content),
        )
        self._write_summary(0, Summary(value=[value]))

    def _write_summary(self, step: int, summary: Summary) -> None:
        self._write(Event(wall_time=time.time(), step=step, summary=summary))

    def _write(self, event: Event) -> None:
        self._records.write(event.SerializeToString())
        self._file.flush()


def _file_name() -> str:
    """Return a fresh name; TensorBoard reads the files of a folder in order of name."""
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    host = socket.gethostname()
    return f"events.out.tfevents.{seconds:010d}.{nanoseconds:09d}.{host}.{os.getpid()}"


def _hparam(value: object) -> bool | float | int | str:
    """Return ``value`` as TensorBoard can carry it: its JSON knows neither nan nor infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, bool | int | float | str) else str(value)
