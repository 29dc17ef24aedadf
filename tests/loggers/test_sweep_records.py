import math
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from optlab.config.schema import LoggerConfig
from optlab.loggers.sweep_events import LoggedRun
from optlab.loggers.sweep_records import SweepRecords
from optlab.loggers.table import METRICS_FILE, MetricsTable, read_metrics
from optlab.loggers.tensorboard import TensorBoardLogger
from optlab.results import RunResult

MakeResult = Callable[..., RunResult]
TAGS = ["loss/train", "accuracy/train", "lr"]
HPARAMS = {"optimizer.lr": 0.1, "model.hidden": [64, 32], "optimizer.clip": math.inf}


def runs_in(folder: Path, num_runs: int) -> list[LoggedRun]:
    return [LoggedRun(folder / f"lr={i}", HPARAMS, "cell") for i in range(num_runs)]


def block(runs: Sequence[int], updates: Sequence[int]) -> np.ndarray:
    """Return values that tell run, update and tag apart, exact in single precision."""
    own, made = np.array(runs)[:, None, None], np.array(updates)[None, :, None]
    return own * 1024.0 + made + np.arange(3) / 4


def log_block(records: SweepRecords, runs: Sequence[int], updates: Sequence[int]) -> None:
    epochs = [update / 10 for update in updates]
    records.log_block(runs, updates, epochs, TAGS, block(runs, updates))


def events(folder: Path) -> list[Event]:
    (path,) = folder.glob("*tfevents*")
    return list(EventFileLoader(str(path)).Load())


def curve(folder: Path, tag: str) -> list[tuple[int, float]]:
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return [(event.step, event.value) for event in accumulator.Scalars(tag)]


def test_every_run_has_its_curves_in_tensorboard_and_in_the_sweeps_table(tmp_path: Path) -> None:
    records = SweepRecords(runs_in(tmp_path, 3), LoggerConfig())
    records.log(1, 0, 0.0, {"loss/val": 2.0})
    log_block(records, [0, 1, 2], [1, 2])
    log_block(records, [0, 2], [127, 128])  # steps of other lengths on file
    records.close()
    expected = {0: [1, 2, 127, 128], 1: [1, 2], 2: [1, 2, 127, 128]}
    table = pl.read_parquet(tmp_path / "metrics" / "*.parquet")
    for run, steps in expected.items():
        folder = tmp_path / f"lr={run}"
        for place, tag in enumerate(TAGS):
            wanted = [(step, run * 1024.0 + step + place / 4) for step in steps]
            assert curve(folder, tag) == wanted
            rows = table.filter(pl.col("run") == folder.name, pl.col("tag") == tag)
            assert rows.select("update", "value").rows() == wanted
    assert curve(tmp_path / "lr=1", "loss/val") == [(0, 2.0)]


def test_a_file_is_what_the_logger_of_one_run_writes(
    tmp_path: Path, make_result: MakeResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.0)
    monkeypatch.setattr("time.perf_counter", lambda: 1.0)
    many = SweepRecords([LoggedRun(tmp_path / "many" / "run", HPARAMS, "cell")], LoggerConfig())
    one = TensorBoardLogger(tmp_path / "one", HPARAMS, "cell")
    for update in (0, 1, 300):
        many.log(0, update, 0.0, {"loss/val": 2.0, "nonfinite": math.nan})
        one.log(update, 0.0, {"loss/val": 2.0, "nonfinite": math.nan})
        log_block(many, [0], [update])
        one.log(update, 0.0, dict(zip(TAGS, block([0], [update])[0, 0], strict=True)))
    many.finish(0, make_result())
    one.finish(make_result())
    many.close()
    one.close()
    (written,) = (tmp_path / "many" / "run").iterdir()
    (expected,) = (tmp_path / "one").iterdir()
    assert written.read_bytes() == expected.read_bytes()


def test_files_written_piece_by_piece_are_those_written_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.0)
    monkeypatch.setattr("time.perf_counter", lambda: 1.0)
    found = []
    for wait in (0.0, 1e9):
        monkeypatch.setattr("optlab.loggers.sweep_records.FLUSH_S", wait)
        records = SweepRecords(runs_in(tmp_path / str(wait), 2), LoggerConfig())
        monkeypatch.setattr("optlab.loggers.sweep_records.REST", 0)
        for update in range(5):
            log_block(records, [0, 1], [update])
            records.log(1, update, update / 10, {"loss/val": update / 2})
        records.close()
        parts = sorted((tmp_path / str(wait) / "metrics").iterdir())
        assert (len(parts) > 5) == (wait == 0.0)
        files = sorted((tmp_path / str(wait)).glob("*/*tfevents*"))
        found.append([file.read_bytes() for file in files])
    assert found[0] == found[1]


def test_records_are_written_when_there_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optlab.loggers.sweep_records.MAX_VALUES", 6)
    records = SweepRecords(runs_in(tmp_path, 1), LoggerConfig())
    log_block(records, [0], [1])
    assert not (tmp_path / "metrics").exists()
    log_block(records, [0], [2])
    assert curve(tmp_path / "lr=0", "lr") == [(1, 1.5), (2, 2.5)]
    assert read_metrics([tmp_path / "lr=0"], ["lr"])["value"].to_list() == [1.5, 2.5]


def test_a_run_that_ends_is_marked_and_one_without_an_end_failed(
    tmp_path: Path, make_result: MakeResult
) -> None:
    runs = runs_in(tmp_path, 3)
    records = SweepRecords(runs, LoggerConfig())
    records.finish(0, make_result())
    records.finish(1, make_result(status="diverged"))
    log_block(records, [2], [1])
    records.close()
    records.close()
    statuses = []
    for run in runs:
        (value,) = events(run.folder)[-1].summary.value
        content = value.metadata.plugin_data.content
        statuses.append(HParamsPluginData.FromString(content).session_end_info.status)
    assert statuses == [api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_FAILURE]


@pytest.mark.parametrize(("tensorboard", "table"), [(True, False), (False, True), (False, False)])
def test_only_the_wanted_files_are_written(
    tmp_path: Path, make_result: MakeResult, tensorboard: bool, table: bool
) -> None:
    records = SweepRecords(runs_in(tmp_path, 2), LoggerConfig(tensorboard=tensorboard, table=table))
    log_block(records, [0, 1], [1])
    records.finish(0, make_result())
    records.close()
    assert len(list(tmp_path.rglob("*tfevents*"))) == 2 * tensorboard
    assert len(list(tmp_path.rglob("*.parquet"))) == table


def test_a_killed_process_leaves_what_was_flushed_and_a_second_attempt_replaces_it(
    tmp_path: Path,
) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from optlab.config.schema import LoggerConfig
from optlab.loggers.sweep_records import LoggedRun, SweepRecords
sweep = Path(sys.argv[1])
records = SweepRecords([LoggedRun(sweep / f"lr={i}", {}, "c") for i in range(2)], LoggerConfig())
for update in range(5):
    for run in range(2):
        records.log(run, update, 0.0, {"loss/val": 9.0})
    records.flush()
records.log(0, 6, 0.0, {"loss/val": 9.0})
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", script, tmp_path], check=False)
    assert killed.returncode < 0
    folders = [tmp_path / "lr=0", tmp_path / "lr=1"]
    assert read_metrics(folders, ["loss/val"])["update"].to_list() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert curve(folders[0], "loss/val") == [(update, 9.0) for update in range(5)]

    again = SweepRecords(runs_in(tmp_path, 1), LoggerConfig())
    again.log(0, 0, 0.0, {"loss/val": 1.0})
    again.close()
    rows = read_metrics(folders, ["loss/val"])
    assert rows.filter(folder=str(folders[0])).select("update", "value").rows() == [(0, 1.0)]
    assert rows.filter(folder=str(folders[1])).height == 5
    assert curve(folders[0], "loss/val") == [(0, 1.0)]


def test_a_run_that_trained_alone_before_has_its_new_rows(tmp_path: Path) -> None:
    (run,) = runs_in(tmp_path, 1)
    alone = MetricsTable(run.folder)
    alone.log(0, 0.0, {"loss/val": 9.0})
    alone.close()
    records = SweepRecords([run], LoggerConfig())
    records.log(0, 0, 0.0, {"loss/val": 1.0})
    records.close()
    assert not (run.folder / METRICS_FILE).exists()
    assert read_metrics([run.folder], ["loss/val"])["value"].to_list() == [1.0]


def test_a_full_disk_raises_at_the_first_records_that_are_lost(
    tmp_path: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    (run,) = runs_in(tmp_path, 1)
    records = SweepRecords([run], LoggerConfig(table=False))
    log_block(records, [0], [1])
    records.flush()
    (file,) = run.folder.iterdir()
    log_block(records, [0], [2])
    with full_disk(file.stat().st_size + 10), pytest.raises(OSError, match="too large"):
        records.flush()
    assert curve(run.folder, "lr") == [(1, 1.5)]
    size = file.stat().st_size
    records.close()  # nothing after half a record
    assert file.stat().st_size == size
    with pytest.raises(ValueError, match="after `close` or an error"):
        log_block(records, [0], [3])


def test_a_full_disk_leaves_no_half_part_of_the_table(
    tmp_path: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    (run,) = runs_in(tmp_path, 1)
    records = SweepRecords([run], LoggerConfig(tensorboard=False))
    log_block(records, [0], [1])
    records.flush()
    log_block(records, [0], [2])
    with full_disk(100), pytest.raises(OSError, match="too large"):
        records.close()
    assert [path.suffix for path in (tmp_path / "metrics").iterdir()] == [".parquet"]
    assert read_metrics([run.folder], ["lr"])["value"].to_list() == [1.5]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has this device")
def test_a_device_without_room_raises(tmp_path: Path) -> None:
    (run,) = runs_in(tmp_path, 1)
    records = SweepRecords([run], LoggerConfig(table=False))
    records.flush()
    (file,) = run.folder.iterdir()
    file.unlink()
    os.symlink("/dev/full", file)
    log_block(records, [0], [1])
    with pytest.raises(OSError, match="No space left"):
        records.flush()


def test_more_runs_than_files_that_may_be_open(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    runs = runs_in(tmp_path, 100)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 20, hard))
    try:
        records = SweepRecords(runs, LoggerConfig())
        log_block(records, range(100), [1])
        records.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert curve(runs[-1].folder, "lr") == [(1, 99 * 1024.0 + 1.5)]


def test_runs_of_several_folders_are_no_sweep(tmp_path: Path) -> None:
    runs = [*runs_in(tmp_path / "a", 1), *runs_in(tmp_path / "b", 1)]
    with pytest.raises(ValueError, match="lie in one folder"):
        SweepRecords(runs, LoggerConfig())


def test_importing_the_records_does_not_import_torch() -> None:
    code = "import sys, optlab.loggers.sweep_records; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_run_that_tensorboard_is_not_given_has_its_curves_in_the_table_alone(
    tmp_path: Path, make_result: MakeResult
) -> None:
    runs = [replace(run, has_events=i == 1) for i, run in enumerate(runs_in(tmp_path, 3))]
    records = SweepRecords(runs, LoggerConfig())
    records.log(0, 0, 0.0, {"loss/val": 2.0})
    log_block(records, [0, 1, 2], [1, 2])
    records.finish(2, make_result())
    assert set(records.position()["tensorboard"]["bytes"]) == {"lr=1"}
    records.close()
    assert [path.parent.name for path in tmp_path.glob("*/*tfevents*")] == ["lr=1"]
    assert curve(tmp_path / "lr=1", "lr") == [(1, 1025.5), (2, 1026.5)]
    rows = read_metrics([run.folder for run in runs], ["lr"])
    assert len(rows) == 6


def test_none_of_the_runs_may_be_given_to_tensorboard(tmp_path: Path) -> None:
    runs = [replace(run, has_events=False) for run in runs_in(tmp_path, 2)]
    records = SweepRecords(runs, LoggerConfig())
    log_block(records, [0, 1], [1])
    records.close()
    assert list(tmp_path.glob("**/*tfevents*")) == []
