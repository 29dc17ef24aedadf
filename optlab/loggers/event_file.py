"""The form of TensorBoard's event files, and of what a run writes into one.

A file is a row of records, each a length, its checksum, an event and the event's checksum. A record
of scalars is the same bytes over and over but for time, step and values, so thousands are made as
one matrix.

Shapes: records N, tags T, bytes of a record L.
"""

import functools
import math
import os
import re
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2, summary_v2
from tensorboard.plugins.text.metadata import create_summary_metadata

from optlab.loggers.base import LostRecords
from optlab.loggers.crc32c import MASK, crc32c, masked, remainders_at
from optlab.results import RunResult

Bytes = npt.NDArray[np.uint8]

PREFIX = "events.out.tfevents."
STAMP = re.compile(re.escape(PREFIX) + r"(\d+)\.(\d{9})\.")

HEAD, FOOT = 12, 4  # bytes of a record before and after its event
TIME = slice(HEAD + 1, HEAD + 9)  # after one byte that says so
MAX_STEP_BYTES = 9


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
    return _head(len(data)) + data + struct.pack("<I", masked(crc32c(data)))


def first_records(hparams: Mapping[str, object], group: str) -> bytes:
    """Return what a file begins with.

    Args:
        hparams: Hyperparameters by dotted name. Numbers, texts and booleans stay what they are;
            anything else becomes a text.
        group: Name shared by the runs that TensorBoard's table averages.
    """
    now = time.time()
    values = {name: _hparam(value) for name, value in hparams.items()}
    events = (
        Event(wall_time=now, file_version="brain.Event:2"),
        Event(wall_time=now, session_log=SessionLog(status=SessionLog.START)),
        Event(wall_time=now, summary=summary_v2.hparams_pb(values, group, now)),
    )
    return b"".join(map(record, events))


def text_record(tag: str, markdown: str) -> bytes:
    """Return the record of a text for TensorBoard's text page."""
    tensor = TensorProto(dtype="DT_STRING", string_val=[markdown.encode()])
    value = Summary.Value(tag=tag, tensor=tensor, metadata=create_summary_metadata(tag, ""))
    return record(Event(wall_time=time.time(), summary=Summary(value=[value])))


def last_records(result: RunResult | None) -> bytes:
    """Return the records that end a run: verdicts as a text, and success for one that is done."""
    verdicts = [] if result is None else result.verdicts
    lines = [f"- **{verdict.name}**: {verdict.sentence}" for verdict in verdicts]
    return (text_record("verdicts", "\n".join(lines)) if lines else b"") + _end_record(result)


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
    return record(Event(wall_time=now, summary=Summary(value=[value])))


def step_bytes(steps: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the number of bytes that each step takes in its record, (N); step 0 takes none."""
    bounds = np.array([1, *(1 << 7 * n for n in range(1, MAX_STEP_BYTES))], np.int64)
    return np.searchsorted(bounds, steps, side="right").astype(np.int64)


def scalar_records(
    tags: tuple[str, ...],
    times: npt.NDArray[np.float64],
    steps: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
) -> Bytes:
    """Return records of scalars, (N, L), each the bytes of one event with all its values.

    Args:
        tags: Names of the values, (T), at least one.
        times: Seconds since 1970, (N).
        steps: Steps, (N), all of the same `step_bytes`.
        values: Values, (N, T); the file keeps them in single precision.
    """
    size = int(step_bytes(steps[:1])[0])
    form = _form(tags, size)
    made = np.repeat(form.blank[None], len(steps), axis=0)
    made[:, TIME] = _bytes_of(times, "<f8")
    if size:
        made[:, TIME.stop + 1 : TIME.stop + 1 + size] = _varints(steps, size)
    with np.errstate(over="ignore"):  # beyond single precision lies infinity
        made[:, form.values] = _bytes_of(values, "<f4")
    found = np.bitwise_xor.reduce(form.remainders[form.rows, made[:, form.varying]], axis=1)
    made[:, -FOOT:] = _bytes_of(_masked(found ^ form.crc_of_rest), "<u4")
    return made


class _Form(NamedTuple):
    """What the records of some tags and one size of step have in common.

    Attributes:
        blank: A record with zeros where they differ, (L).
        values: Places of the bytes of the values, (4 T).
        varying: Places of all bytes that differ.
        remainders: What these leave in the checksum, (bytes that differ, 256).
        rows: Their numbers in `remainders`.
        crc_of_rest: The checksum of the event in `blank`.
    """

    blank: Bytes
    values: npt.NDArray[np.int64]
    varying: npt.NDArray[np.int64]
    remainders: npt.NDArray[np.uint32]
    rows: npt.NDArray[np.int64]
    crc_of_rest: np.uint32


@functools.lru_cache(maxsize=64)
def _form(tags: tuple[str, ...], step_size: int) -> _Form:
    # Protocol buffers: a number for field and type, a length where it varies, the content.
    summary = bytearray()
    places: list[int] = []
    for tag in tags:
        name = tag.encode()
        value = b"\x0a" + _varint(len(name)) + name + b"\x15"
        summary += b"\x0a" + _varint(len(value) + 4) + value
        places += range(len(summary), len(summary) + 4)
        summary += bytes(4)
    step = b"\x10" + bytes(step_size) if step_size else b""
    event = b"\x09" + bytes(8) + step + b"\x2a" + _varint(len(summary)) + summary
    start = HEAD + len(event) - len(summary)
    values = np.array(places, np.int64) + start
    of_step = np.arange(step_size) + TIME.stop + 1
    varying = np.concatenate([np.arange(TIME.start, TIME.stop), of_step, values])
    blank = np.frombuffer(_head(len(event)) + event + bytes(FOOT), np.uint8)
    return _Form(
        blank,
        values,
        varying,
        remainders_at(HEAD + len(event) - 1 - varying),
        np.arange(len(varying)),
        np.uint32(crc32c(event)),
    )


@functools.lru_cache(maxsize=256)
def _head(length: int) -> bytes:
    size = struct.pack("<Q", length)
    return size + struct.pack("<I", masked(crc32c(size)))


def _varint(number: int) -> bytes:
    """Return a number in groups of seven bits, the lowest first; all but the last have bit 8."""
    groups = bytearray()
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    return bytes([*groups, number])


def _varints(numbers: npt.NDArray[np.int64], size: int) -> Bytes:
    """Return `_varint` of numbers that all take ``size`` bytes, (N, size)."""
    groups = (numbers[:, None] >> 7 * np.arange(size)) & 127
    groups[:, :-1] |= 128
    return groups.astype(np.uint8)


def _bytes_of(numbers: npt.NDArray[np.generic], form: str) -> Bytes:
    """Return the bytes of a row of numbers, (N, bytes)."""
    return np.ascontiguousarray(numbers, form).view(np.uint8).reshape(len(numbers), -1)


def _masked(crcs: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Return `masked` of many, (N)."""
    rotated = (crcs >> np.uint32(15)) | (crcs << np.uint32(17))
    return np.asarray(rotated + np.uint32(MASK), np.uint32)


def _hparam(value: object) -> bool | float | int | str:
    """Return ``value`` as TensorBoard can carry it: its JSON knows neither nan nor infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, bool | int | float | str) else str(value)
