from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optlab.records import RunRecord
from optlab.report.charts import Chart, Panels, Views
from optlab.report.evidence import Evidence
from optlab.report.page import Section
from optlab.report.ranking import rank
from optlab.report.sections.curves import MOST_GROUPS, curves

MakeRun = Callable[..., RunRecord]
CURVES = {"accuracy/val": [0.1, 0.5, 0.9], "loss/val": [2.0, 1.0, 0.5], "loss/train": [2.0, 0.4]}


def section(records: list[RunRecord]) -> Section:
    found = curves(Evidence(records, rank(records)))
    assert found is not None
    return found


def views(found: Section) -> dict[str, Views]:
    """Return the figures by title."""
    assert all(isinstance(figure, Views) for figure in found.figures)
    return {figure.title: figure for figure in found.figures if isinstance(figure, Views)}


def run_of(make_run: MakeRun, name: str, task: str = "digits", **result: Any) -> RunRecord:
    config = {"seed": 0, "task": {"name": task}, "optimizer": {"name": name}}
    run = make_run(config, val={"loss": 0.5, "accuracy": 0.9}, curves=CURVES)
    return replace(run, result=replace(run.result, **result))


def test_each_quantity_has_a_figure_the_ranked_one_first(make_run: MakeRun) -> None:
    found = views(section([run_of(make_run, "adam"), run_of(make_run, "sgd")]))
    assert list(found) == ["Validation accuracy", "Validation loss", "Training loss"]
    chart = found["Validation loss"].choices["by updates"]
    assert isinstance(chart, Chart)
    assert chart.x.title == "updates"
    assert [series.name for series in chart.series] == ["adam", "sgd"]
    np.testing.assert_array_equal(chart.series[0].x, [0, 5, 10])
    np.testing.assert_array_equal(chart.series[0].y, [2.0, 1.0, 0.5])


def test_a_group_ranked_by_loss_has_no_accuracy(make_run: MakeRun) -> None:
    runs = [make_run({"optimizer": {"name": "adam"}}, val={"loss": 1.0}, curves=CURVES)]
    assert list(views(section(runs))) == ["Validation loss", "Training loss"]


def test_what_was_not_recorded_has_no_figure(make_run: MakeRun) -> None:
    run = make_run({"seed": 0}, val={"loss": 1.0}, curves={"loss/val": [2.0, 1.0]})
    assert list(views(section([run]))) == ["Validation loss"]


@pytest.mark.parametrize(
    ("result", "choices"),
    [
        ({}, ["by epochs", "by updates"]),
        ({"row_gradients": 320}, ["by epochs", "by updates", "by gradient evaluations"]),
        (
            {"row_gradients": 320, "shared_by": 8},
            ["by epochs", "by updates", "by gradient evaluations"],
        ),
        ({"shared_by": 1}, ["by epochs", "by updates", "by time"]),
        ({"updates": 2}, ["by epochs"]),  # as many as epochs: the same curve again
    ],
)
def test_a_reader_chooses_among_what_is_known_of_every_run(
    make_run: MakeRun, result: dict[str, Any], choices: list[str]
) -> None:
    found = section([run_of(make_run, name, **result) for name in ("adam", "sgd")])
    assert all(list(figure.choices) == choices for figure in views(found).values())


def test_it_is_said_why_there_is_no_axis_of_time_or_gradients(make_run: MakeRun) -> None:
    alone = run_of(make_run, "adam", shared_by=1, row_gradients=320)
    stacked = run_of(make_run, "sgd", shared_by=2, row_gradients=320)
    old = run_of(make_run, "nag", shared_by=1)
    assert len(section([alone]).sentences) == 1
    assert "There is no axis of time" in section([alone, stacked]).sentences[1]
    assert "There is no axis of gradient evaluations" in section([alone, old]).sentences[1]


def test_tasks_stand_side_by_side_and_each_has_a_figure_with_all_quantities(
    make_run: MakeRun,
) -> None:
    runs = [run_of(make_run, name, task) for task in ("a", "b") for name in ("adam", "sgd")]
    found = views(section(runs))
    assert list(found) == ["Validation in every task", "a", "b"]
    panels = found["Validation in every task"].choices["by epochs"]
    assert isinstance(panels, Panels)
    assert [chart.title for chart in panels.charts] == ["a", "b"]
    assert [series.name for series in panels.charts[0].series] == ["adam", "sgd"]
    assert list(found["b"].choices) == ["validation accuracy", "validation loss", "training loss"]


def test_of_many_tasks_only_the_first_have_a_figure_of_their_own(make_run: MakeRun) -> None:
    tasks = [f"task{place}" for place in range(MOST_GROUPS + 2)]
    found = section([run_of(make_run, "adam", task) for task in tasks])
    panels = views(found)["Validation in every task"].choices["by epochs"]
    assert isinstance(panels, Panels)
    assert len(panels.charts) == len(tasks)
    assert len(found.figures) == 1 + MOST_GROUPS


def test_tasks_that_kept_only_losses_are_not_side_by_side(make_run: MakeRun) -> None:
    runs = [
        make_run({"task": {"name": task}}, val={"accuracy": 0.9}, curves={"loss/val": [2.0, 1.0]})
        for task in ("a", "b")
    ]
    assert list(views(section(runs))) == ["a", "b"]


def test_many_curves_have_fewer_points_each(make_run: MakeRun) -> None:
    def points(count: int) -> int:
        config = [{"optimizer": {"name": "adam", "lr": i}} for i in range(1, count + 1)]
        recorded = {tag: [1.0] * 500 for tag in CURVES}
        runs = [make_run(c, val={"accuracy": 0.9, "loss": 1.0}, curves=recorded) for c in config]
        runs = [replace(r, result=replace(r.result, row_gradients=3, shared_by=1)) for r in runs]
        chart = views(section(runs))["Training loss"].choices["by epochs"]
        assert isinstance(chart, Chart)
        return len(chart.series[0].x)

    assert points(1) == 200
    assert points(40) == 125  # 40 cells, 3 quantities and 4 axes share 60,000


def test_there_is_no_section_where_no_run_kept_a_curve(make_run: MakeRun) -> None:
    runs = [make_run({"seed": 0}, val={"loss": 1.0})]
    assert curves(Evidence(runs, rank(runs))) is None
