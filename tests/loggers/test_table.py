import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from optlab.config import ConfigError
from optlab.config.schema import LoggerConfig
from optlab.loggers.sweep_events import LoggedRun
from optlab.loggers.sweep_records import SweepRecords
from optlab.loggers.table import SCHEMA, MetricsTable, read_metrics


def test_every_value_becomes_a_typed_row_in_order(tmp_path: Path) -> None:
    table = MetricsTable(tmp_path)
    table.log(0, 0.0, {"loss/val": 2.0, "accuracy/val": 0.1})
    table.log(5, 0.5, {"loss/train": 1})
    table.close()
    rows = pl.read_parquet(tmp_path / "metrics.parquet")
    assert dict(rows.schema) == SCHEMA
    assert rows.drop("seconds").rows() == [
        (0, 0.0, "loss/val", 2.0),
        (0, 0.0, "accuracy/val", 0.1),
        (5, 0.5, "loss/train", 1.0),
    ]
    assert rows["seconds"].is_sorted()
    assert rows["seconds"][0] >= 0


def test_nan_and_infinity_are_values_not_gaps(tmp_path: Path) -> None:
    table = MetricsTable(tmp_path)
    table.log(0, 0.0, {"a": math.nan, "b": math.inf})
    table.close()
    values = pl.read_parquet(tmp_path / "metrics.parquet")["value"]
    assert values.null_count() == 0
    assert values.is_nan().to_list() == [True, False]
    assert values[1] == math.inf


def test_a_logged_mapping_may_change_afterwards(tmp_path: Path) -> None:
    table, values = MetricsTable(tmp_path), {"a": 1.0}
    table.log(0, 0.0, values)
    values["a"] = 2.0
    table.close()
    assert read_metrics([tmp_path], ["a"])["value"].to_list() == [1.0]


def test_a_run_without_records_has_an_empty_table(tmp_path: Path) -> None:
    MetricsTable(tmp_path).close()
    rows = pl.read_parquet(tmp_path / "metrics.parquet")
    assert (dict(rows.schema), rows.height) == (SCHEMA, 0)


def test_flush_writes_what_there_is_and_close_the_rest_once(tmp_path: Path) -> None:
    table = MetricsTable(tmp_path)
    table.log(0, 0.0, {"a": 1.0})
    table.flush()
    assert read_metrics([tmp_path], ["a"]).height == 1
    table.log(1, 0.1, {"a": 2.0})
    table.close()
    assert read_metrics([tmp_path], ["a"]).height == 2
    (tmp_path / "metrics.parquet").unlink()
    table.close()
    assert not (tmp_path / "metrics.parquet").exists()


def test_a_full_disk_raises_and_leaves_the_flushed_table(
    tmp_path: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    table = MetricsTable(tmp_path)
    table.log(0, 0.0, {"a": 1.0})
    table.flush()
    for update in range(1, 1000):
        table.log(update, 0.0, {"a": 1.0 / update})
    with full_disk(2000), pytest.raises(OSError, match="too large"):
        table.close()
    assert read_metrics([tmp_path], ["a"]).height == 1
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.parquet"]


def test_reading_many_runs_keeps_the_asked_tags_and_tells_the_runs_apart(tmp_path: Path) -> None:
    for name in ("one", "two"):
        table = MetricsTable(tmp_path / name)
        table.log(0, 0.0, {"loss/val": 1.0, "lr": 0.1})
        table.close()
    rows = read_metrics([tmp_path / "one", tmp_path / "two", tmp_path / "none"], ["loss/val"])
    assert rows.select("tag", "folder").rows() == [
        ("loss/val", str(tmp_path / "one")),
        ("loss/val", str(tmp_path / "two")),
    ]


@pytest.mark.parametrize("name", ["hidden=[64,32],lr=0.1", "lr=*", "what?", "{a,b} c%20d"])
def test_a_folder_named_by_overrides_is_taken_literally(tmp_path: Path, name: str) -> None:
    table = MetricsTable(tmp_path / name)
    table.log(0, 0.0, {"loss/val": 1.0})
    table.close()
    rows = read_metrics([tmp_path / name], ["loss/val"])
    assert rows.columns == [*SCHEMA, "folder"]  # no column made of "lr=0.1" in the path
    assert rows["folder"].to_list() == [str(tmp_path / name)]


def test_reading_runs_without_tables_gives_no_rows_of_the_same_form(tmp_path: Path) -> None:
    rows = read_metrics([tmp_path], ["loss/val"])
    assert (rows.height, list(rows.schema)) == (0, [*SCHEMA, "folder"])


def test_a_damaged_table_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "metrics.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(ConfigError, match="delete the damaged run folder"):
        read_metrics([tmp_path], ["loss/val"])


def log_in_sweep(sweep: Path, names: Sequence[str], value: float) -> None:
    runs = [LoggedRun(sweep / name, {}, "cell") for name in names]
    records = SweepRecords(runs, LoggerConfig(tensorboard=False))
    values = np.array([[[value, 0.1]]] * len(names))
    records.log_block(range(len(names)), [10], [0.5], ["loss/val", "lr"], values)
    records.close()


def test_runs_with_and_without_a_table_of_their_own_are_read_together(tmp_path: Path) -> None:
    log_in_sweep(tmp_path, ["lr=*", "b"], 1.0)
    log_in_sweep(tmp_path / "other", ["b"], 2.0)
    alone = MetricsTable(tmp_path / "alone")
    alone.log(5, 0.5, {"loss/val": 3.0})
    alone.close()
    folders = [tmp_path / name for name in ("b", "alone", "lr=*", "other/b", "none")]
    rows = read_metrics(folders, ["loss/val"])
    assert list(rows.schema) == [*SCHEMA, "folder"]
    assert set(rows.select("folder", "value").rows()) == {
        (str(tmp_path / "lr=*"), 1.0),
        (str(tmp_path / "b"), 1.0),
        (str(tmp_path / "other" / "b"), 2.0),
        (str(tmp_path / "alone"), 3.0),
    }
    assert rows["update"].to_list().count(10) == 3


def test_of_a_run_begun_twice_the_last_attempt_counts_even_before_it_has_such_a_value(
    tmp_path: Path,
) -> None:
    log_in_sweep(tmp_path, ["a", "b"], 1.0)
    records = SweepRecords([LoggedRun(tmp_path / "b", {}, "cell")], LoggerConfig(tensorboard=False))
    records.log(0, 0, 0.0, {"lr": 0.2})
    records.flush()
    folders = [tmp_path / "a", tmp_path / "b"]
    assert read_metrics(folders, ["loss/val"])["folder"].to_list() == [str(folders[0])]
    assert read_metrics([folders[1]], ["lr"])["value"].to_list() == [0.2]


def test_a_run_that_trained_alone_after_its_sweep_was_killed_has_its_own_rows(
    tmp_path: Path,
) -> None:
    log_in_sweep(tmp_path, ["a"], 1.0)
    alone = MetricsTable(tmp_path / "a")
    alone.log(5, 0.5, {"loss/val": 3.0})
    alone.close()
    assert read_metrics([tmp_path / "a"], ["loss/val"])["value"].to_list() == [3.0]


def test_a_run_of_a_sweep_is_found_from_within_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in_sweep(tmp_path, ["a"], 1.0)
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    assert read_metrics(["."], ["loss/val"])["folder"].to_list() == ["."]


def test_a_damaged_part_is_an_error_that_says_what_is_lost(tmp_path: Path) -> None:
    log_in_sweep(tmp_path, ["a"], 1.0)
    (tmp_path / "metrics" / "zzz.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(ConfigError, match="move the damaged file away"):
        read_metrics([tmp_path / "a"], ["loss/val"])
