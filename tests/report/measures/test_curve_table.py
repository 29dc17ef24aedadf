from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl

from optlab.records import RunRecord
from optlab.report.evidence import Evidence
from optlab.report.measures.curve_table import curve_table, write_curve_table
from optlab.report.ranking import rank

MakeRun = Callable[..., RunRecord]


def test_the_table_has_every_cell_with_what_its_runs_cost(make_run: MakeRun) -> None:
    runs = [
        make_run(
            {"seed": seed, "optimizer": {"name": name}},
            val={"loss": 1.0},
            curves={"loss/val": [3.0 + seed, 1.0], "loss/train": [2.0]},
        )
        for name in ("adam", "sgd")
        for seed in (0, 1)
    ]
    for i in (0, 1):
        runs[i] = replace(runs[i], result=replace(runs[i].result, row_gradients=320))
    table = curve_table(Evidence(runs, rank(runs)), ["loss/val", "loss/train", "accuracy/val"])
    assert table.columns == [
        *("group", "cell", "tag", "update", "epoch", "row_gradients", "seconds"),
        *("mean", "low", "high", "runs"),
    ]
    of = {
        (cell, tag): part.drop("group", "cell", "tag").rows()
        for (cell, tag), part in table.group_by("cell", "tag")
    }
    assert of["adam", "loss/val"] == [
        (0.0, 0.0, 0.0, None, 3.5, 3.0, 4.0, 2),
        (5.0, 1.0, 160.0, None, 1.0, 1.0, 1.0, 2),
    ]
    assert of["sgd", "loss/train"] == [(0.0, 0.0, None, None, 2.0, 2.0, 2.0, 2)]
    assert len(of) == 4


def test_a_table_of_nothing_has_its_columns_and_no_row(make_run: MakeRun) -> None:
    runs = [make_run({"seed": 0}, val={"loss": 1.0})]
    table = curve_table(Evidence(runs, rank(runs)), ["loss/val"])
    assert table.shape == (0, 11)


def test_the_file_has_what_cells_are_ranked_by_and_both_losses(
    make_run: MakeRun, tmp_path: Path
) -> None:
    recorded = {tag: [1.0, 2.0] for tag in ("accuracy/val", "loss/val", "loss/train", "lr")}
    run = make_run({"seed": 0}, val={"accuracy": 0.9, "loss": 1.0}, curves=recorded)
    write_curve_table(tmp_path / "report", Evidence([run], rank([run])))
    table = pl.read_parquet(tmp_path / "report" / "curves.parquet")
    assert set(table["tag"]) == {"accuracy/val", "loss/val", "loss/train"}
    assert len(table) == 6
