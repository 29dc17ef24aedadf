from collections.abc import Callable

import numpy as np
import pytest

from optlab.report.charts import Chart, Heatmap
from optlab.report.sections.importance import Importance, figure, importance, table
from tests.report.grids import evidence, run

RATES, WIDTHS = (0.01, 0.1), (8, 16, 32)


def found(value: Callable[[float, int], float], seeds: int = 2, **more: str) -> Importance:
    runs = [
        run(value(lr, width), lr=lr, model__width=width, seed=seed, **more)
        for lr in RATES
        for width in WIDTHS
        for seed in range(seeds)
    ]
    made = importance(evidence(runs), more.get("task", "blobs"))
    assert made is not None
    return made


def shares(one: Importance) -> dict[str, float]:
    return {effect.title: effect.share for effect in one.effects}


def test_a_result_of_one_factor_is_all_its_own() -> None:
    one = found(lambda lr, _: lr)
    assert shares(one)["learning rate"] == pytest.approx(1.0)
    assert (one.effects[0].title, one.effects[0].levels) == ("learning rate", 2)
    assert one.points == 12
    assert one.rest == pytest.approx(0.0, abs=1e-12)


def test_what_two_do_only_together_is_of_the_pair() -> None:
    """Rows (1, -1, 0) and (-1, 1, 0): every mean over one factor is the same."""
    one = found(lambda lr, w: 0.5 + (-1) ** (lr == 0.01) * {8: 0.1, 16: -0.1, 32: 0.0}[w])
    assert shares(one)["learning rate with width"] == pytest.approx(1.0)


def test_losses_count_by_rank_and_diverged_ones_as_the_last() -> None:
    runs = [
        run(status="diverged" if lr == 0.1 else "done", lr=lr, model__width=w, seed=s)
        for lr in RATES
        for w in WIDTHS
        for s in range(2)
    ]
    for number, each in enumerate(runs[:6]):
        each.result.val.clear()
        each.result.val["loss"] = 10.0**number
    one = importance(evidence(runs), "blobs")
    assert one is not None
    # Ranks 1 .. 6 and six times 9.5: between the rates (9.5 - 3.5)^2 / 4, within them 35 / 24.
    assert shares(one)["learning rate"] == pytest.approx(9 / (9 + 35 / 24))


def test_less_than_two_factors_are_no_question() -> None:
    runs = [run(lr=lr, seed=seed) for lr in RATES for seed in range(2)]
    assert importance(evidence(runs), "blobs") is None


def test_one_run_of_each_pair_tells_no_noise() -> None:
    one = found(lambda lr, width: lr * width, seeds=1)
    assert not one.tells_noise
    chart = figure([one])
    assert isinstance(chart, Chart)
    assert [series.name for series in chart.series] == ["explained"]
    assert len(table([one]).rows) == 3


def test_the_chart_has_the_largest_share_first() -> None:
    chart = figure([found(lambda lr, width: lr + width / 1000)])
    assert isinstance(chart, Chart)
    assert chart.y.names[0] == "learning rate"
    assert chart.series[0].x[0] == max(chart.series[0].x)
    assert [series.name for series in chart.series] == ["explained", "noise alone"]


def test_several_tasks_are_rows_of_one_map_and_of_the_table() -> None:
    both = [
        found(lambda lr, _: lr, task="blobs"),
        found(lambda _, width: width / 100, task="digits"),
    ]
    chart = figure(both)
    assert isinstance(chart, Heatmap)
    assert chart.y.names == ("blobs", "digits")
    place = chart.x.names.index("learning rate")
    assert chart.values[:, place] == pytest.approx([100.0, 0.0])
    assert [column.key for column in table(both).columns][:2] == ["task", "factor"]
    percent = np.array([float(row[2] or 0) for row in table(both).rows])
    assert percent.sum() == pytest.approx(200.0)


def test_of_too_many_runs_means_of_cells_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optlab.report.sections.importance.MOST_POINTS", 6)
    assert found(lambda lr, _: lr).points == 6
    monkeypatch.setattr("optlab.report.sections.importance.MOST_POINTS", 4)
    assert found(lambda lr, _: lr).points == 4
