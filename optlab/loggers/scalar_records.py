"""Records of scalars for TensorBoard's event files, thousands at once.

Such a record is the same bytes over and over but for time, step and values, so they are made as one
matrix.

Shapes: records N, tags T, bytes of a record L.
"""

import functools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from optlab.loggers.crc32c import MASK, crc32c, remainders_at
from optlab.loggers.event_file import FOOT, HEAD, head

Bytes = npt.NDArray[np.uint8]

TIME = slice(HEAD + 1, HEAD + 9)  # after one byte that says so
MAX_STEP_BYTES = 9


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
    blank = np.frombuffer(head(len(event)) + event + bytes(FOOT), np.uint8)
    return _Form(
        blank,
        values,
        varying,
        remainders_at(HEAD + len(event) - 1 - varying),
        np.arange(len(varying)),
        np.uint32(crc32c(event)),
    )


@functools.lru_cache(maxsize=256)
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
