"""Scalars and hyperparameters out of event files, whoever wrote them.

TensorBoard's own loaders take three times as long, for checksums in Python. Here a record is its
length and its event, and what is cut short ends a file, as while it is written.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.types_pb2 import DT_FLOAT
from tensorboard.plugins.hparams.metadata import SESSION_START_INFO_TAG
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.util import tensor_util

from optlab.config import ConfigError

HEAD, FOOT = 12, 4  # bytes of a record before and after its event
PATTERN = "*tfevents*"


@dataclass
class Recorded:
    """What the event files of one folder hold.

    Attributes:
        points: Step, seconds since 1970 and value of each record, by tag, in order.
        hparams: Hyperparameters by name, where they were noted.
    """

    points: dict[str, list[tuple[int, float, float]]] = field(default_factory=dict)
    hparams: dict[str, Any] = field(default_factory=dict)

    def restart(self, step: int) -> None:
        """Forget what was recorded from a step on: the run was begun again there."""
        for tag, own in self.points.items():
            self.points[tag] = [point for point in own if point[0] < step]


def read_folder(folder: Path) -> Recorded:
    """Read the event files of a folder, in order of name, as TensorBoard does.

    Raises:
        ConfigError: Naming the file that cannot be read.
    """
    found, plugins = Recorded(), dict[str, str]()
    for path in sorted(folder.glob(PATTERN)):
        try:
            for event in _events(path.read_bytes()):
                _take(event, found, plugins)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"cannot read {str(path)!r} ({error}): no event file of TensorBoard, or a damaged "
                "one; move it away"
            ) from error
    return found


def _events(content: bytes) -> Iterator[Event]:
    """Return the events of a file, as far as it is whole.

    Raises:
        ValueError: When something else stands in a record.
    """
    start = 0
    while start + HEAD <= len(content):
        (length,) = struct.unpack_from("<Q", content, start)
        end = start + HEAD + length
        if end + FOOT > len(content):
            return
        try:
            event = Event.FromString(content[start + HEAD : end])
        except Exception as error:  # of a library that is TensorBoard's, not optlab's
            raise ValueError(f"no event at byte {start + HEAD}: {error}") from error
        yield event
        start = end + FOOT


def _take(event: Event, found: Recorded, plugins: dict[str, str]) -> None:
    if event.HasField("session_log"):
        if event.session_log.status == SessionLog.START:
            found.restart(event.step)
    elif event.HasField("summary"):
        for value in event.summary.value:
            number = _number(value, plugins)
            if number is not None:
                own = found.points.setdefault(value.tag, [])
                own.append((event.step, event.wall_time, number))
            elif value.tag == SESSION_START_INFO_TAG:
                found.hparams |= _hparams(value)


def _number(value: Summary.Value, plugins: dict[str, str]) -> float | None:
    """Return a scalar, as an older or a newer writer keeps it; None for anything else."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if not value.HasField("tensor"):
        return None
    # Only the first record of a tag says which page it is for.
    plugin = plugins.setdefault(value.tag, value.metadata.plugin_data.plugin_name)
    if plugin != "scalars":
        return None
    tensor = value.tensor
    if tensor.dtype == DT_FLOAT and len(tensor.float_val) == 1:
        return float(tensor.float_val[0])
    numbers = np.asarray(tensor_util.make_ndarray(tensor)).ravel()
    return float(numbers[0]) if len(numbers) == 1 else None


def _hparams(value: Summary.Value) -> dict[str, Any]:
    content = HParamsPluginData.FromString(value.metadata.plugin_data.content)
    own = content.session_start_info.hparams
    return {name: _plain(own[name]) for name in own}


def _plain(value: Any) -> Any:
    """Return a protobuf's value; whole numbers, which it has none of, as such."""
    kind = value.WhichOneof("kind")
    found = None if kind in (None, "null_value") else getattr(value, kind)
    return int(found) if isinstance(found, float) and found.is_integer() else found


def folders_with_events(logdir: Path) -> Sequence[Path]:
    """Return every folder at or below another that holds event files, in order of path."""
    return sorted({path.parent for path in logdir.rglob(PATTERN) if path.is_file()})
