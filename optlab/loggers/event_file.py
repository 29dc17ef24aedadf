"""The form of TensorBoard's event files, and of what a run writes into one.

A file is a row of records, each a length, its checksum, an event and the event's checksum. Those of
scalars, of which there are thousands, are made by `optlab.loggers.scalar_records`.
"""

import math
import os
import re
import socket
import struct
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2, summary_v2

from optlab.loggers.base import LostRecords
from optlab.loggers.crc32c import crc32c, masked
from optlab.loggers.event_values import histogram_value, text_value
from optlab.results import RunResult

PREFIX = "events.out.tfevents."
STAMP = re.compile(re.escape(PREFIX) + r"(\d+)\.(\d{9})\.")

HEAD, FOOT = 12, 4  # bytes of a record before and after its event


def file_name(*folders: Path) -> str:
    """Return a fresh name; TensorBoard reads the files of a folder in order of name.

    Args:
        folders: It comes after all that are there, even if a clock was set back since.
    """
    found = (path.name for folder in folders for path in folder.glob(f"{PREFIX}*"))
    stamps = [match for name in found if (match := STAMP.match(name))]
    latest = max((int(m[1]) * 10**9 + int(m[2]) for m in stamps), default=0)
    seconds, nanoseconds = divmod(max(time.time_ns(), latest + 1), 10**9)
    host = socket.gethostname()
    return f"{PREFIX}{seconds:010d}.{nanoseconds:09d}.{host}.{os.getpid()}"


def reopened(path: Path, size: int) -> BinaryIO:
    """Open a file to go on after its first ``size`` bytes; what came after them is dropped.

    Raises:
        LostRecords: When it has fewer, or is gone.
    """
    try:
        file = path.open("r+b")
    except OSError as error:
        raise LostRecords(f"{path} cannot be opened ({error})") from error
    if (found := file.seek(0, os.SEEK_END)) < size:
        file.close()
        raise LostRecords(f"{path} has {found} bytes of {size}")
    file.truncate(size)
    file.seek(size)
    return file


def forced(path: Path) -> int:
    """Force a file to the disk, and return its size."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return file.seek(0, os.SEEK_END)


def remove_later(path: Path) -> None:
    """Remove the files of attempts after that of a file, which goes on in their place."""
    for other in path.parent.glob(f"{PREFIX}*"):
        if other.name > path.name:
            other.unlink()


def record(event: Event) -> bytes:
    """Return an event as a record."""
    data: bytes = event.SerializeToString()
    return head(len(data)) + data + struct.pack("<I", masked(crc32c(data)))


def first_records(hparams: Mapping[str, object], group: str) -> bytes:
    """Return what a file begins with.

    Args:
        hparams: Hyperparameters by dotted name. Numbers, texts and booleans stay what they are;
            anything else becomes a text.
        group: Name shared by the runs that TensorBoard's table averages.
    """
    now = time.time()
    values = {name: hparam(value) for name, value in hparams.items()}
    described = Event(wall_time=now, summary=summary_v2.hparams_pb(values, group, now))
    return opening(now) + record(described)


def opening(now: float) -> bytes:
    """Return the records of form and start that any file begins with.

    What a run's earlier files hold, TensorBoard then forgets.
    """
    start = SessionLog(status=SessionLog.START)
    events = (
        Event(wall_time=now, file_version="brain.Event:2"),
        Event(wall_time=now, session_log=start),
    )
    return b"".join(map(record, events))


def values_record(values: Iterable[Summary.Value], step: int = 0) -> bytes:
    """Return the record of values that were made now, such as texts and pictures."""
    return record(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))


def texts_record(texts: Mapping[str, str]) -> bytes:
    """Return the record of texts by tag, in markdown; nothing for none."""
    return values_record([text_value(*text) for text in texts.items()]) if texts else b""


def histograms_record(step: int, numbers: Mapping[str, npt.NDArray[np.generic]]) -> bytes:
    """Return the record of the distributions of some numbers by tag."""
    return values_record([histogram_value(*own) for own in numbers.items()], step)


def last_records(result: RunResult | None) -> bytes:
    """Return the records that end a run: verdicts as a text, and success for one that is done."""
    verdicts = [] if result is None else result.verdicts
    lines = [f"- **{verdict.name}**: {verdict.sentence}" for verdict in verdicts]
    return texts_record({"verdicts": "\n".join(lines)} if lines else {}) + _end_record(result)


def _end_record(result: RunResult | None) -> bytes:
    done = result is not None and result.status == "done"
    status = api_pb2.STATUS_SUCCESS if done else api_pb2.STATUS_FAILURE
    now = time.time()
    info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=now)
    content = plugin_data_pb2.HParamsPluginData(session_end_info=info)
    value = Summary.Value(
        tag=metadata.SESSION_END_INFO_TAG,
        tensor=metadata.NULL_TENSOR,
        metadata=metadata.create_summary_metadata(content),
    )
    return values_record([value])


def head(length: int) -> bytes:
    """Return what stands before an event of so many bytes: their number, and its checksum."""
    size = struct.pack("<Q", length)
    return size + struct.pack("<I", masked(crc32c(size)))


def hparam(value: object) -> bool | float | int | str:
    """Return ``value`` as TensorBoard can carry it: its JSON knows neither nan nor infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, bool | int | float | str) else str(value)
