from pathlib import Path

import numpy as np
import polars as pl
import pytest

from optlab.loggers.buffer import RecordBuffer
from optlab.loggers.sweep_table import MOST_PARTS, SweepTable, merge_parts
from optlab.loggers.table import SWEEP_SCHEMA


def buffer(num_runs: int, value: float) -> RecordBuffer:
    """Return one record of each run, and one more of the last."""
    found = RecordBuffer()
    values = np.full((num_runs, 1, 2), value)
    found.add_block(range(num_runs), [10], [0.5], ["loss/train", "lr"], values)
    found.add(num_runs - 1, 20, 1.0, {"loss/val": value})
    return found


def test_parts_are_one_typed_table_with_a_row_for_each_value(tmp_path: Path) -> None:
    table = SweepTable(tmp_path, ["lr=0.1", "lr=0.2"])
    table.write(buffer(2, value=1.0).take())
    table.write(buffer(2, value=2.0).take())
    rows = pl.read_parquet(tmp_path / "metrics" / "*.parquet")
    assert dict(rows.schema) == SWEEP_SCHEMA
    assert rows["started"].n_unique() == 1
    assert rows["seconds"].min() >= 0
    assert rows.filter(value=1.0).drop("seconds", "started").rows() == [
        ("lr=0.1", 10, 0.5, "loss/train", 1.0),
        ("lr=0.1", 10, 0.5, "lr", 1.0),
        ("lr=0.2", 10, 0.5, "loss/train", 1.0),
        ("lr=0.2", 10, 0.5, "lr", 1.0),
        ("lr=0.2", 20, 1.0, "loss/val", 1.0),
    ]
    assert rows.filter(value=2.0).height == 5


def test_two_writers_at_once_do_not_touch_each_others_parts(tmp_path: Path) -> None:
    one, two = SweepTable(tmp_path, ["a"]), SweepTable(tmp_path, ["b"])
    for table in (one, two, one, two):
        table.write(buffer(1, value=1.0).take())
    rows = pl.read_parquet(tmp_path / "metrics" / "*.parquet")
    assert rows["run"].value_counts().sort("run").rows() == [("a", 6), ("b", 6)]


def test_what_a_killed_writer_left_half_written_is_no_part(tmp_path: Path) -> None:
    table = SweepTable(tmp_path, ["a"])
    table.write(buffer(1, value=1.0).take())
    (part,) = (tmp_path / "metrics").iterdir()
    (tmp_path / "metrics" / f".{part.name}.0123.tmp").write_bytes(b"PAR1 and then nothing")
    assert pl.read_parquet(tmp_path / "metrics" / "*.parquet").height == 3


def write_parts(folder: Path, count: int) -> pl.DataFrame:
    for number in range(count):
        SweepTable(folder, [f"run{number}"]).write(buffer(1, float(number)).take())
    return pl.read_parquet(folder / "metrics" / "*.parquet")


def test_many_parts_become_few_with_the_same_rows(tmp_path: Path) -> None:
    before = write_parts(tmp_path, MOST_PARTS + 1)
    merge_parts(tmp_path)
    (part,) = (tmp_path / "metrics").iterdir()
    keys = ["run", "update", "tag"]
    assert pl.read_parquet(part).sort(keys).equals(before.sort(keys))


def test_few_parts_stay(tmp_path: Path) -> None:
    write_parts(tmp_path, 3)
    merge_parts(tmp_path)
    assert len(list((tmp_path / "metrics").iterdir())) == 3


def test_no_part_is_larger_than_memory_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = write_parts(tmp_path, MOST_PARTS + 1)
    size = next((tmp_path / "metrics").iterdir()).stat().st_size
    monkeypatch.setattr("optlab.loggers.sweep_table.PART_BYTES", 10.5 * size)
    merge_parts(tmp_path)
    assert len(list((tmp_path / "metrics").iterdir())) == MOST_PARTS // 10 + 1
    assert len(pl.read_parquet(tmp_path / "metrics" / "*.parquet")) == len(before)


def test_damaged_parts_are_left_as_they_are(tmp_path: Path) -> None:
    write_parts(tmp_path, MOST_PARTS + 1)
    damaged = sorted((tmp_path / "metrics").iterdir())[5]
    damaged.write_bytes(b"no table")
    merge_parts(tmp_path)
    assert damaged.read_bytes() == b"no table"
    assert len(list((tmp_path / "metrics").iterdir())) == MOST_PARTS + 1
