import json
import math
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from optlab.dashboard import write
from optlab.dashboard.dashboard import OWN_FILE
from tests.dashboard.conftest import event_files
from tests.loggers.conftest import full_disk
from tests.report.conftest import MakeRun

__all__ = ["full_disk"]

Read = Callable[[Path], EventAccumulator]
CURVES = {"accuracy/val": [0.1, 0.5, 0.7], "loss/val": [2.0, 1.0, 0.5]}


def a_sweep(make_run: MakeRun, lrs: tuple[float, ...] = (0.1, 0.01), **fields: object) -> None:
    for lr in lrs:
        for seed in (0, 1):
            config = {"optimizer": {"name": "adam", "lr": lr}, "seed": seed}
            val = {"accuracy": 0.7 - lr, "loss": 0.5}
            name = f"lr={lr},seed={seed}"
            make_run(config, **{"val": val, "curves": CURVES, "folder": name, **fields})


def cells(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "cells").iterdir())


def test_each_cell_has_its_curves_over_seeds_and_its_scores(
    make_run: MakeRun, tmp_path: Path, read: Read
) -> None:
    a_sweep(make_run)
    write(tmp_path)
    found = read(tmp_path / "cells" / "01 lr=0.01")
    for part, group in {"mean": "", "low": "range_", "high": "range_"}.items():
        points = found.Scalars(f"{group}by_epoch/accuracy/val/{part}")
        assert [point.step for point in points] == [0, 1, 2]
        assert [point.value for point in points] == pytest.approx([0.1, 0.5, 0.7])
    assert [point.step for point in found.Scalars("by_update/loss/val/mean")] == [0, 5, 10]
    (score,) = found.Scalars("score/accuracy_val")
    assert (score.step, score.value) == (10, pytest.approx(0.69))


def test_a_diverged_seed_counts_as_the_worst_from_its_end_on(
    make_run: MakeRun, tmp_path: Path, read: Read
) -> None:
    config = {"optimizer": {"name": "adam"}}
    make_run({**config, "seed": 0}, val={"accuracy": 0.7, "loss": 0.5}, curves=CURVES)
    short = {tag: values[:2] for tag, values in CURVES.items()}
    make_run({**config, "seed": 1}, status="diverged", val={"loss": math.nan}, curves=short)
    write(tmp_path)
    found = read(tmp_path / "cells" / "01 adam")
    accuracy = [point.value for point in found.Scalars("by_epoch/accuracy/val/mean")]
    assert accuracy == pytest.approx([0.1, 0.5, 0.35])
    assert math.isinf(found.Scalars("by_epoch/loss/val/mean")[-1].value)
    assert found.Scalars("score/lost_runs")[0].value == 1


def test_times_of_events_are_training_times_of_runs_timed_alone(
    make_run: MakeRun, tmp_path: Path, read: Read
) -> None:
    a_sweep(make_run, lrs=(0.1,))
    for path in tmp_path.glob("*/result.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "shared_by": 1}))
    write(tmp_path)
    found = read(tmp_path / "cells" / "01 adam")
    times = [point.wall_time for point in found.Scalars("by_epoch/loss/val/mean")]
    # Ten updates took 0.5 s; times since 1970 are kept to a quarter of a microsecond.
    assert [time - times[0] for time in times] == pytest.approx([0, 0.25, 0.5], abs=1e-6)
    steps = [point.step for point in found.Scalars("by_millisecond/loss/val/mean")]
    assert steps == [0, 250, 500]


def test_written_again_there_is_one_dashboard_and_no_stale_cell(
    make_run: MakeRun, tmp_path: Path
) -> None:
    a_sweep(make_run)
    write(tmp_path)
    before = event_files(tmp_path)
    a_sweep(make_run, lrs=(0.001,))
    write(tmp_path)
    after = event_files(tmp_path)
    assert cells(tmp_path) == ["01 lr=0.001", "02 lr=0.01", "03 lr=0.1"]
    assert len(before) == 2 + 1
    assert len(after) == 3 + 1
    assert not list(tmp_path.glob(".*"))


def test_a_sweep_that_keeps_no_table_has_scores(
    make_run: MakeRun, tmp_path: Path, read: Read
) -> None:
    a_sweep(make_run, curves=None)
    write(tmp_path)
    tags = read(tmp_path / "cells" / "01 lr=0.01").Tags()["scalars"]
    assert tags
    assert all(tag.startswith("score/") for tag in tags)


def test_a_sweep_without_event_files_gets_none(make_run: MakeRun, tmp_path: Path) -> None:
    make_run({"optimizer": {"name": "adam"}, "logger": {"tensorboard": False}}, val={"loss": 1.0})
    write(tmp_path)
    assert event_files(tmp_path) == []


def test_a_folder_without_an_ended_run_gets_none(tmp_path: Path) -> None:
    write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_files_of_others_are_not_replaced(make_run: MakeRun, tmp_path: Path) -> None:
    a_sweep(make_run)
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"notes\.txt is no file of a dashboard"):
        write(tmp_path)
    assert (tmp_path / "cells" / "notes.txt").read_text() == "mine"


def test_a_full_disk_leaves_what_was_there(
    make_run: MakeRun, tmp_path: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    a_sweep(make_run)
    write(tmp_path)
    before = event_files(tmp_path)
    a_sweep(make_run, lrs=(0.001,))
    with full_disk(100), pytest.raises(OSError, match="too large"):
        write(tmp_path)
    assert event_files(tmp_path) == before
    assert not list(tmp_path.glob(".*"))


def test_what_killed_processes_left_half_done_is_removed_and_what_is_being_written_is_not(
    make_run: MakeRun, tmp_path: Path
) -> None:
    a_sweep(make_run)
    for name, age_s in (("killed", 3600.0), ("alive", 0.0)):
        folders = [tmp_path / f".cells.{name}.{end}" for end in ("old", "tmp")]
        for folder in folders:
            (folder / "01 lr=0.1").mkdir(parents=True)
        file = tmp_path / f".{OWN_FILE}.0123.{name}.tmp"
        file.touch()
        for path in (*folders, file):
            os.utime(path, (time.time() - age_s,) * 2)
    write(tmp_path)
    hidden = sorted(path.name for path in tmp_path.glob(".*"))
    assert hidden == [".cells.alive.old", ".cells.alive.tmp", f".{OWN_FILE}.0123.alive.tmp"]
