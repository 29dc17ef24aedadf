from collections.abc import Callable
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from optlab.dashboard.axes import AXES
from optlab.dashboard.cell_curves import BAND, Curve, encoded, tag_of
from optlab.loggers import event_file


def test_curves_of_several_cells_are_read_back_by_tensorboard(
    tmp_path: Path, read: Callable[[Path], EventAccumulator]
) -> None:
    # The numbers of bytes that steps take change between these.
    steps = np.array([0, 1, 127, 128, 16383, 16384, 2_000_000])
    times = 1.7e9 + steps / 1000
    values = np.random.default_rng(0).normal(size=(2, len(steps), 3))
    curves = [
        Curve(cell, axis, "loss/val", steps[cell:], times[cell:], values[cell][cell:])
        for axis in AXES[:2]
        for cell in (0, 1)
    ]
    for cell, records in encoded(curves).items():
        folder = tmp_path / str(cell)
        folder.mkdir()
        (folder / event_file.file_name(folder)).write_bytes(event_file.opening(0.0) + records)
        found = read(folder)
        for axis in AXES[:2]:
            for column, part in enumerate(BAND):
                points = found.Scalars(tag_of("loss/val", axis, part))
                assert [point.step for point in points] == steps[cell:].tolist()
                assert [point.wall_time for point in points] == times[cell:].tolist()
                wanted = values[cell, cell:, column].astype(np.float32)
                assert [point.value for point in points] == wanted.tolist()


def test_means_stand_together_apart_from_the_ends_of_the_range() -> None:
    epochs = AXES[0]
    assert tag_of("accuracy/val", epochs, "mean") == "by_epoch/accuracy/val/mean"
    assert tag_of("accuracy/val", epochs, "low") == "range_by_epoch/accuracy/val/low"
