import io
import math

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter

from optlab.loggers import event_file
from optlab.loggers.scalar_records import scalar_records, step_bytes

NORMS = tuple(f"gradient_norm/layers.{i}.weight" for i in range(60))  # beyond one block of CRC


def written_by_tensorboard(event: Event) -> bytes:
    output = io.BytesIO()
    RecordWriter(output).write(event.SerializeToString())
    return output.getvalue()


@pytest.mark.parametrize("tags", [("lr",), ("loss/train", "accuracy/train", "Größe"), NORMS])
@pytest.mark.parametrize("step", [0, 1, 127, 128, 16_383, 16_384, 2**40, 2**62])
def test_a_matrix_of_records_has_the_bytes_of_the_present_writer(
    tags: tuple[str, ...], step: int
) -> None:
    rng = np.random.default_rng(len(tags))
    times, values = 1e9 + rng.random(5), rng.normal(size=(5, len(tags)))
    values[:4, 0] = math.nan, math.inf, 1e300, 0.0  # the third overflows float32
    made = scalar_records(tags, times, np.full(5, step), values)
    for row, time, own in zip(made, times, values, strict=True):
        event = Event(wall_time=time, step=step)
        for tag, value in zip(tags, own, strict=True):
            event.summary.value.add(tag=tag, simple_value=value)
        assert row.tobytes() == written_by_tensorboard(event)
        assert row.tobytes() == event_file.record(event)


def test_steps_of_one_size_share_a_matrix() -> None:
    steps = np.array([128, 300, 16_383])
    made = scalar_records(("lr",), np.ones(3), steps, np.zeros((3, 1)))
    assert [Event.FromString(row[12:-4].tobytes()).step for row in made] == steps.tolist()


def test_step_bytes_are_those_of_a_varint_and_none_for_step_0() -> None:
    steps = np.array([0, 1, 127, 128, 2**14 - 1, 2**14, 2**56 - 1, 2**56, 2**62])
    assert step_bytes(steps).tolist() == [0, 1, 1, 2, 2, 3, 8, 9, 9]
