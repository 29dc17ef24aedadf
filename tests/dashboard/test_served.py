"""The real server on a sweep that the real command trained."""

import math
from pathlib import Path
from typing import Any

import pytest

from optlab.records import collect
from optlab.report.ranking import rank
from tests.dashboard.conftest import CELLS
from tests.loggers.test_tensorboard import Server, eventually

RUNS = 6


@pytest.fixture(scope="module")
def tags(server: Server) -> dict[str, list[str]]:
    """Return the tags by run, once all runs are loaded."""

    def loaded() -> Any:
        found = server.get("scalars/tags")
        return found if len(found) == RUNS + len(CELLS) else None

    found: dict[str, list[str]] = eventually(loaded, "runs")
    return found


def groups(server: Server) -> list[dict[str, Any]]:
    """Return the rows of the table, by rank."""
    request = {
        "experimentName": "",
        "allowedStatuses": ["STATUS_SUCCESS", "STATUS_FAILURE"],
        "colParams": [{"metric": {"group": "", "tag": "score/rank"}, "order": "ORDER_ASC"}],
        "aggregationType": "AGGREGATION_AVG",
        "startIndex": 0,
        "sliceSize": 100,
    }
    found: list[dict[str, Any]] = server.post("hparams/session_groups", request)["sessionGroups"]
    return found


def metrics(group: dict[str, Any]) -> dict[str, float]:
    return {metric["name"]["tag"]: float(metric["value"]) for metric in group["metricValues"]}


@pytest.mark.usefixtures("tags")
def test_the_table_has_a_row_per_cell_with_its_seeds_averaged(server: Server, swept: Path) -> None:
    rows = groups(server)
    assert len(rows) == len(CELLS)
    for row, name in zip(rows, CELLS, strict=True):
        sessions = [session["name"] for session in row["sessions"]]
        assert sessions[0] == f"cells/{name}"
        assert [session[-6:] for session in sessions[1:]] == ["seed=0", "seed=1"]
    ranked = rank(collect(swept)).cells
    for row, cell in zip(rows, ranked, strict=True):
        found = metrics(row)
        assert found["score/rank"] == cell.rank
        assert found["score/accuracy_val"] == pytest.approx(cell.val.mean, rel=1e-6)  # float32
        assert row["hparams"]["optimizer.lr"] == cell.key["optimizer.lr"]


@pytest.mark.usefixtures("tags")
def test_a_cell_whose_seeds_diverged_scores_the_worst_whatever_their_last_records_say(
    server: Server,
) -> None:
    row = groups(server)[-1]
    found = metrics(row)
    assert {session["status"] for session in row["sessions"]} == {"STATUS_FAILURE"}
    assert found["score/accuracy_val"] == 0.0
    assert found["score/lost_runs"] == 2.0
    assert found["accuracy/val"] > 0.0


@pytest.mark.usefixtures("tags")
def test_the_table_has_a_column_for_what_varies_and_no_other(server: Server) -> None:
    experiment = server.post("hparams/experiment", {"experimentName": ""})
    columns = {info["displayName"]: info for info in experiment["hparamInfos"]}
    assert set(columns) == {"lr", "optimizer"}
    assert columns["lr"]["domainDiscrete"] == [1e-6, 0.05, 1e30]
    assert columns["optimizer"]["domainDiscrete"] == ["adam", "momentum"]
    shown = [info["displayName"] for info in experiment["metricInfos"]]
    assert shown[:2] == ["rank", "accuracy/val: mean"]
    assert len(shown) <= 9


def test_margin_charts_name_curves_that_are_there(
    server: Server, tags: dict[str, list[str]]
) -> None:
    layout = server.get("custom_scalars/layout")
    titles = [category["title"] for category in layout["category"]]
    assert titles[:2] == ["cells by epochs", "cells by updates"]
    assert titles[-1] == "runs by updates"
    assert [category.get("closed", False) for category in layout["category"]] == [
        False,
        *[True] * (len(titles) - 1),
    ]
    for category in layout["category"][:-1]:
        assert len(category["chart"]) == 3
        for chart in category["chart"]:
            (series,) = chart["margin"]["series"]
            assert set(series.values()) <= set(tags[f"cells/{CELLS[0]}"])


def test_a_margin_chart_reads_mean_and_range_of_the_seeds(
    server: Server, tags: dict[str, list[str]]
) -> None:
    seeds = [run for run in tags if "lr=0.05,seed=" in run]
    own = [server.get("scalars/scalars", run=run, tag="loss/val") for run in seeds]
    parts = {"mean": "by_epoch", "low": "range_by_epoch", "high": "range_by_epoch"}
    names = {part: f"{group}/loss/val/{part}" for part, group in parts.items()}
    answer = server.get(
        "custom_scalars/scalars", run=f"cells/{CELLS[0]}", tag="|".join(names.values())
    )
    assert answer["regex_valid"]
    curves = {part: answer["tag_to_events"][name] for part, name in names.items()}
    assert [step for _, step, _ in curves["mean"]] == [0, 1, 2, 3]
    for point in range(4):
        values = [float(run[point][2]) for run in own]
        for part, wanted in zip(
            ("mean", "low", "high"), (sum(values) / 2, min(values), max(values)), strict=True
        ):
            assert float(curves[part][point][2]) == pytest.approx(wanted, rel=1e-6)  # float32


def test_the_curve_of_a_diverged_cell_ends_in_infinity(server: Server) -> None:
    points = server.get(
        "scalars/scalars", run=f"cells/{CELLS[-1]}", tag="by_update/loss/train/mean"
    )
    assert math.isinf(float(points[-1][2]))
