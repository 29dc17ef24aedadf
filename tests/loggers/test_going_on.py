"""Loggers go on where an earlier process kept a state: nothing is there twice, nothing is lost."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from optlab.config.schema import LoggerConfig
from optlab.loggers.base import LostRecords, require_position
from optlab.loggers.buffer import RecordBuffer
from optlab.loggers.sweep_events import LoggedRun
from optlab.loggers.sweep_records import SweepRecords
from optlab.loggers.sweep_table import SweepTable
from optlab.loggers.table import MetricsTable, read_metrics
from optlab.loggers.tensorboard import TensorBoardLogger
from tests.loggers.test_tensorboard import read

NAMES = ["a", "b", "c"]


def write(table: SweepTable, update: int, runs: int = 3) -> None:
    """Write one record of each run as a part."""
    records = RecordBuffer()
    for run in range(runs):
        records.add(run, update, 0.0, {"loss/train": float(update)})
    table.write(records.take())


def updates(folder: Path) -> dict[str, list[int]]:
    """Return the updates of which a reader finds records, by run."""
    found = read_metrics([folder / name for name in NAMES], ["loss/train"])
    rows = found.sort("update").group_by("folder").agg("update")
    return {Path(place).name: made for place, made in sorted(rows.rows())}


def test_parts_after_the_position_are_taken_back(tmp_path: Path) -> None:
    table = SweepTable(tmp_path, NAMES)
    write(table, 1)
    position = table.position()
    write(table, 2)
    write(table, 3)
    again = SweepTable(tmp_path, NAMES, position)
    write(again, 2)
    assert updates(tmp_path) == {key: [1, 2] for key in NAMES}
    assert pl.read_parquet(tmp_path / "metrics" / "*.parquet")["started"].n_unique() == 1


def test_runs_that_stopped_together_go_on_apart(tmp_path: Path) -> None:
    table = SweepTable(tmp_path, NAMES)
    write(table, 1)
    position = table.position()
    write(table, 2)
    for names in (["a"], ["b", "c"]):
        write(SweepTable(tmp_path, names, position), 2, len(names))
    assert updates(tmp_path) == {key: [1, 2] for key in NAMES}


def test_those_that_went_on_apart_and_failed_may_do_so_again_otherwise(tmp_path: Path) -> None:
    table = SweepTable(tmp_path, NAMES)
    write(table, 1)
    position = table.position()
    write(SweepTable(tmp_path, ["a", "b"], position), 2, 2)
    for name in NAMES:
        write(SweepTable(tmp_path, [name], position), 2, 1)
    assert updates(tmp_path) == {key: [1, 2] for key in NAMES}


def test_rows_of_runs_that_are_done_stay(tmp_path: Path) -> None:
    table = SweepTable(tmp_path, NAMES)
    write(table, 1)
    position = table.position()
    write(table, 2)
    SweepTable(tmp_path, ["a"], position)
    assert updates(tmp_path) == {"a": [1], "b": [1, 2], "c": [1, 2]}


def test_an_attempt_that_was_begun_anew_meanwhile_does_not_count(tmp_path: Path) -> None:
    table = SweepTable(tmp_path, NAMES)
    write(table, 1)
    position = table.position()
    write(SweepTable(tmp_path, ["a"]), 7, 1)
    SweepTable(tmp_path, NAMES, position)
    assert updates(tmp_path) == {key: [1] for key in NAMES}


def test_parts_that_are_gone_or_damaged_are_lost_records(tmp_path: Path) -> None:
    table = SweepTable(tmp_path, NAMES)
    write(table, 1)
    position = table.position()
    write(table, 2)
    first, second = sorted((tmp_path / "metrics").glob("*.parquet"))
    second.write_bytes(b"PAR1")
    with pytest.raises(LostRecords, match="cannot be read"):
        SweepTable(tmp_path, NAMES, position)
    first.unlink()
    with pytest.raises(LostRecords, match="is gone"):
        SweepTable(tmp_path, NAMES, position)


def metrics(folder: Path, since: Any = None) -> MetricsTable:
    return MetricsTable(folder, since)


def test_the_table_of_a_run_keeps_its_first_rows_and_its_clock(tmp_path: Path) -> None:
    table = metrics(tmp_path)
    table.log(1, 0.1, {"x": 1.0})
    position = table.position()
    table.log(2, 0.2, {"x": 2.0})
    table.close()
    again = metrics(tmp_path, {**position, "seconds": 100.0})
    again.log(2, 0.2, {"x": 3.0})
    again.close()
    rows = pl.read_parquet(tmp_path / "metrics.parquet")
    assert rows.select("update", "value").rows() == [(1, 1.0), (2, 3.0)]
    assert rows["seconds"][1] >= 100.0


@pytest.mark.parametrize("damage", ["gone", "damaged", "shorter"])
def test_a_table_that_is_not_what_it_was_is_lost(tmp_path: Path, damage: str) -> None:
    table = metrics(tmp_path)
    table.log(1, 0.1, {"x": 1.0})
    table.close()
    path = tmp_path / "metrics.parquet"
    if damage == "gone":
        path.unlink()
    elif damage == "damaged":
        path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(LostRecords, match=r"metrics\.parquet"):
        metrics(tmp_path, {"rows": 2, "seconds": 1.0})


def test_an_event_file_goes_on_after_its_position_and_later_ones_are_removed(
    tmp_path: Path,
) -> None:
    logger = TensorBoardLogger(tmp_path, {}, "cell")
    logger.log(1, 0.1, {"x": 1.0})
    position = logger.position()
    logger.log(2, 0.2, {"x": 2.0})
    logger.close()
    TensorBoardLogger(tmp_path, {}, "cell").close()
    again = TensorBoardLogger(tmp_path, {}, "cell", position)
    again.log(2, 0.2, {"x": 3.0})
    again.close()
    (path,) = tmp_path.glob("events.*")
    assert path.name == position["file"]
    assert [(event.step, event.value) for event in read(tmp_path).Scalars("x")] == [(1, 1), (2, 3)]


def test_a_shorter_or_lost_event_file_is_told(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path, {}, "cell")
    position = logger.position()
    logger.close()
    with pytest.raises(LostRecords, match="bytes of 1000000"):
        TensorBoardLogger(tmp_path, {}, "cell", {**position, "bytes": 1_000_000})
    with pytest.raises(LostRecords, match="cannot be opened"):
        TensorBoardLogger(tmp_path, {}, "cell", {**position, "file": "events.other"})


def test_no_file_outside_of_the_folder_is_cut(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("what somebody wrote")
    (tmp_path / "run").mkdir()
    hostile = {"file": "../victim", "bytes": 2}
    with pytest.raises(LostRecords):
        TensorBoardLogger(tmp_path / "run", {}, "cell", hostile)
    runs = [LoggedRun(tmp_path / "run", {}, "cell")]
    with pytest.raises(LostRecords):
        SweepRecords(
            runs,
            LoggerConfig(table=False),
            {"tensorboard": {"file": "../victim", "bytes": {"run": 2}}},
        )
    assert victim.read_text() == "what somebody wrote"


@pytest.mark.parametrize("name", ["tensorboard", "table"])
def test_what_was_off_before_has_no_beginning_to_go_on_from(name: str) -> None:
    position = {"tensorboard": {}, "table": {}, name: None}
    with pytest.raises(LostRecords, match=rf"logger\.{name} was off before"):
        require_position(position, LoggerConfig())
    require_position(position, LoggerConfig(**{name: False}))
