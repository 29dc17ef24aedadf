"""A clock that is set back and forward: durations, order and what counts do not depend on it."""

import itertools
import time
from datetime import datetime, timedelta

import polars as pl
import pytest

from optlab.cli import main
from optlab.config.schema import LoggerConfig
from optlab.loggers import sweep_table
from optlab.loggers.sweep_records import LoggedRun, SweepRecords
from optlab.loggers.table import read_metrics
from optlab.results import read_result
from tests.sweep.faults.sweeps import states, swept

DAY_S = 86_400.0


def test_a_sweep_under_a_clock_that_jumps_is_a_sweep(folder, monkeypatch):
    jumps, now = itertools.cycle([0.0, DAY_S, -DAY_S]), time.time
    monkeypatch.setattr(time, "time", lambda: now() + next(jumps))
    assert main(swept("s", "seed=range(0,3)", "logger.tensorboard=true")) == 0
    assert set(states(folder / "s").values()) == {"done"}
    for run in (folder / "s" / f"seed={seed}" for seed in range(3)):
        result = read_result(run)
        assert 0 <= result.training_s <= result.total_s
    seconds = pl.scan_parquet(folder / "s" / "metrics" / "*.parquet").collect()["seconds"]
    assert abs(seconds.max() - seconds.min()) < DAY_S


class SetBack(datetime):
    """The time of a clock that lies some hours back."""

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) - timedelta(hours=5)


@pytest.mark.parametrize("is_another_process", [False, True])
def test_the_last_attempt_counts_even_if_its_clock_was_set_back(
    tmp_path, monkeypatch, is_another_process
):
    run = LoggedRun(tmp_path / "run", {}, "cell")
    for value in (1.0, 2.0):
        records = SweepRecords([run], LoggerConfig())
        records.log(0, 1, 0.5, {"loss/val": value})
        records.close()
        monkeypatch.setattr(sweep_table, "datetime", SetBack)
        now = time.time_ns()
        monkeypatch.setattr(time, "time_ns", lambda now=now: now - int(5 * 3600e9))
        if is_another_process:
            monkeypatch.setattr(sweep_table.SweepTable, "_latest", {})
    assert read_metrics([run.folder], ["loss/val"])["value"].to_list() == [2.0]
    first, second = sorted(run.folder.glob("events.*"), key=lambda path: path.stat().st_mtime_ns)
    assert first.name < second.name
