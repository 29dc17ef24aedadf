from pathlib import Path

import numpy as np
import pytest

from optlab.config.schema import LoggerConfig
from optlab.loggers.event_values import PNG_HEAD
from optlab.loggers.sweep_events import LoggedRun
from optlab.loggers.sweep_records import SweepRecords
from tests.loggers.test_tensorboard import read


def runs_in(folder: Path) -> list[LoggedRun]:
    """Return a run that TensorBoard is given, and one that it is not."""
    texts = {"model": "10 parameters"}
    return [LoggedRun(folder / name, {}, "cell", name == "shown", texts) for name in ("shown", "b")]


def steps(folder: Path, tag: str) -> list[int]:
    return [event.step for event in read(folder).Tensors(tag)]


def test_a_run_with_a_file_has_its_texts_and_histograms_there(tmp_path: Path) -> None:
    records = SweepRecords(runs_in(tmp_path), LoggerConfig())
    for update in (0, 10):
        for run in (0, 1):
            records.histograms(run, update, {"weights/w": np.arange(4.0)})
    records.close()
    assert not (tmp_path / "b").exists()
    assert steps(tmp_path / "shown", "weights/w") == [0, 10]
    (model,) = read(tmp_path / "shown").Tensors("model")
    assert model.tensor_proto.string_val == [b"10 parameters"]


def test_histograms_after_a_position_are_dropped_and_come_again(tmp_path: Path) -> None:
    first = SweepRecords(runs_in(tmp_path), LoggerConfig())
    first.histograms(0, 0, {"weights/w": np.zeros(3)})
    position = first.position()
    first.histograms(0, 10, {"weights/w": np.ones(3)})
    first.flush()
    second = SweepRecords(runs_in(tmp_path), LoggerConfig(), position)
    for update in (10, 20):
        second.histograms(0, update, {"weights/w": np.ones(3)})
    second.close()
    assert steps(tmp_path / "shown", "weights/w") == [0, 10, 20]
    assert len(read(tmp_path / "shown").Tensors("model")) == 1


def test_many_histograms_do_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optlab.loggers.sweep_records.MAX_BYTES", 2_000)
    records = SweepRecords(runs_in(tmp_path), LoggerConfig())
    records.histograms(0, 0, {"weights/w": np.zeros(3)})
    assert not (tmp_path / "shown").exists()
    records.histograms(0, 10, {"weights/w": np.zeros(3), "weights/v": np.zeros(3)})
    assert steps(tmp_path / "shown", "weights/w") == [0, 10]
    records.close()


def test_large_pictures_do_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optlab.loggers.sweep_records.MAX_BYTES", 2_000)
    records = SweepRecords(runs_in(tmp_path), LoggerConfig())
    records.draw(0, 10, {"confusion": PNG_HEAD + bytes(3_000)}, {})
    assert len(read(tmp_path / "shown").Tensors("confusion")) == 1
    records.close()


def test_without_tensorboard_nothing_is_kept(tmp_path: Path) -> None:
    records = SweepRecords(runs_in(tmp_path), LoggerConfig(tensorboard=False))
    records.histograms(0, 0, {"weights/w": np.zeros(3)})
    records.close()
    assert not list(tmp_path.rglob("*tfevents*"))
