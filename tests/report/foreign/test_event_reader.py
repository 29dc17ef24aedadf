import math
from pathlib import Path

import pytest
import torch.utils.tensorboard
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.hparams import summary_v2 as hparams
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from optlab.config import ConfigError
from optlab.report.foreign.event_reader import read_folder


def write(folder: Path, *events: Event, name: str = "events.out.tfevents.1.host") -> Path:
    """Write events by TensorBoard's own writer."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("wb") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())
    return folder / name


def scalar(tag: str, step: int, value: float) -> Event:
    return Event(wall_time=100.0 + step, step=step, summary=scalar_pb(tag, value))


def values(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(step, value) for step, _, value in read_folder(folder).points[tag]]


def test_what_torch_writes_is_read(tmp_path: Path) -> None:
    with torch.utils.tensorboard.SummaryWriter(str(tmp_path)) as writer:
        for step, value in enumerate((1.5, math.inf, math.nan)):
            writer.add_scalar("Loss/val", value, 10 * step, walltime=50.0 + step)
        writer.add_scalar("Acc", 0.25, 3, new_style=True)
        writer.add_histogram("w", torch.arange(9.0), 0)
        writer.add_text("note", "hello")
    found = read_folder(tmp_path)
    assert set(found.points) == {"Loss/val", "Acc"}
    steps, times, numbers = zip(*found.points["Loss/val"], strict=True)
    assert (steps, times) == ((0, 10, 20), (50.0, 51.0, 52.0))
    assert numbers[:2] == (1.5, math.inf)
    assert math.isnan(numbers[2])
    assert values(tmp_path, "Acc") == [(3, 0.25)]


def test_what_keras_writes_is_read_also_after_the_first_record(tmp_path: Path) -> None:
    later = scalar("epoch_loss", 1, 0.5)
    later.summary.value[0].ClearField("metadata")  # only the first says what it is
    image = Event(step=0, summary=histogram_pb("kernel", [1.0, 2.0]))
    write(tmp_path, Event(file_version="brain.Event:2"), scalar("epoch_loss", 0, 1.0), later, image)
    assert values(tmp_path, "epoch_loss") == [(0, 1.0), (1, 0.5)]
    assert "kernel" not in read_folder(tmp_path).points


def test_a_run_that_was_begun_again_at_a_step_has_its_new_values(tmp_path: Path) -> None:
    again = Event(step=5, session_log=SessionLog(status=SessionLog.START))
    write(tmp_path, *(scalar("a", step, 1.0) for step in (0, 5, 9)))
    write(tmp_path, again, scalar("a", 5, 2.0), name="events.out.tfevents.2.host")
    assert values(tmp_path, "a") == [(0, 1.0), (5, 2.0)]


def test_hyperparameters_keep_their_kinds(tmp_path: Path) -> None:
    noted = {"lr": 0.1, "layers": 3, "optimizer": "adam", "nesterov": True}
    write(tmp_path, Event(summary=hparams.hparams_pb(noted)), scalar("a", 0, 1.0))
    found = read_folder(tmp_path).hparams
    assert found == noted
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in noted.items()
    }


@pytest.mark.parametrize("kept", [5, 12, 40, -1, -4])
def test_a_file_that_is_cut_short_gives_what_is_whole(tmp_path: Path, kept: int) -> None:
    path = write(tmp_path, scalar("a", 0, 1.0), scalar("a", 1, 2.0))
    path.write_bytes(path.read_bytes()[:kept])
    found = read_folder(tmp_path).points.get("a", [])
    assert [value for *_, value in found] == [1.0, 2.0][: 1 if kept < 0 else 0]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, scalar("a", 0, 1.0), scalar("a", 1, 2.0))
    content = bytearray(path.read_bytes())
    content[12:20] = b"\xff" * 8
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"cannot read '.*tfevents.*damaged one; move it away"):
        read_folder(tmp_path)
