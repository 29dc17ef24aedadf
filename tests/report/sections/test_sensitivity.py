import math
from dataclasses import replace

import numpy as np
import pytest

from optlab.records import RunRecord
from optlab.report.charts import Chart, Panels
from optlab.report.page import Section
from optlab.report.sections.sensitivity import MOST_TASKS, sensitivity
from tests.report.trials import evidence, trial, trials

INSIDE = {"adam 0.01": [0.8, 0.82], "adam 0.1": [0.9, 0.92], "adam 1": [0.7, 0.1]}
EDGE = {"sgd 0.01": [0.3, 0.3], "sgd 0.1": [0.5, 0.5], "sgd 1": [0.6, 0.6]}


def section(records: list[RunRecord]) -> Section:
    found = sensitivity(evidence(records))
    assert found is not None
    return found


def with_option(record: RunRecord, **options: float) -> RunRecord:
    own = {**record.config["optimizer"], **options}
    return replace(record, config={**record.config, "optimizer": own})


@pytest.mark.parametrize("methods", [["adam 0.1"], ["adam 0.1", "adam 1"], ["adam 1", "sgd 0.1"]])
def test_two_rates_say_nothing(methods: list[str]) -> None:
    assert sensitivity(evidence(trials({method: [0.5] for method in methods}))) is None


def test_an_optimum_at_the_edge_is_said() -> None:
    found = section(trials(INSIDE | EDGE))
    assert "the highest for sgd (1)" in found.sentences[0]
    assert "adam" not in found.sentences[0]
    (table,) = found.tables
    edges = {row[0]: row[-1] for row in table.rows}
    assert edges == {"adam": "no", "sgd": "yes, the highest"}


def test_an_optimum_inside_is_said_as_well() -> None:
    assert section(trials(INSIDE)).sentences[0].startswith("No best learning rate is at the edge")


def test_each_rate_has_the_mean_and_interval_of_its_cell() -> None:
    records = trials(INSIDE)
    (chart,) = section(records).figures
    assert isinstance(chart, Chart)
    (line,) = chart.series
    cells = {cell.key["optimizer.lr"]: cell.val for cell in evidence(records).ranking.cells}
    assert (chart.x.scale, line.x.tolist()) == ("log", [0.01, 0.1, 1.0])
    np.testing.assert_allclose(line.y, [0.81, 0.91, 0.4])
    np.testing.assert_equal(line.low, [cells[rate].low for rate in line.x])
    np.testing.assert_equal(line.high, [cells[rate].high for rate in line.x])
    assert line.texts[0].startswith("lr=0.01: accuracy 0.81")


def test_an_infinite_loss_stays_in_the_chart() -> None:
    losses = {"sgd 0.1": [1.0], "sgd 1": [2.0], "sgd 10": [math.inf]}
    (chart,) = section(trials(losses, by="loss")).figures
    assert isinstance(chart, Chart)
    assert chart.series[0].y.tolist() == [1.0, 2.0, math.inf]
    assert "1 diverged" in chart.series[0].texts[2]
    assert "A mark at the edge" in chart.caption


def test_tasks_are_panels_and_many_are_told_in_short() -> None:
    tasks = [f"task{place}" for place in range(MOST_TASKS + 2)]
    found = section([run for task in tasks for run in trials(EDGE, task)])
    (panels,) = found.figures
    assert isinstance(panels, Panels)
    assert [chart.title for chart in panels.charts] == tasks
    assert "on task3, the highest for sgd (1); likewise on 2 more tasks" in found.sentences[0]
    assert found.tables[0].columns[0].title == "task"


def test_every_number_that_was_swept_has_a_figure_and_a_table() -> None:
    records = [
        with_option(
            trial("sgd", 0.5 + momentum / 10 + lr / 20, 0, lr=lr, by="accuracy"), momentum=momentum
        )
        for lr in (0.1, 0.2, 0.3)
        for momentum in (0.0, 0.5, 0.9)
    ]
    found = section(records)
    assert [figure.name for figure in found.figures] == ["sensitivity_lr", "sensitivity_momentum"]
    assert [table.name for table in found.tables] == ["sensitivity_lr", "sensitivity_momentum"]
    assert "Sensitivity to hyperparameters" in found.title


def test_zero_and_powers_of_ten_lie_side_by_side() -> None:
    records = [
        with_option(trial("sgd", accuracy, 0, by="accuracy"), decay=decay)
        for decay, accuracy in ((0.0, 0.5), (1e-4, 0.6), (1e-2, 0.4))
    ]
    (chart,) = section(records).figures
    assert isinstance(chart, Chart)
    assert chart.x.names == ("0", "0.0001", "0.01")
    assert chart.series[0].x.tolist() == [0, 1, 2]


def test_a_search_is_points_and_a_line_through_the_best() -> None:
    rates = np.geomspace(1e-3, 1.0, 15).tolist()
    records = [
        trial("sgd", 0.9 - abs(math.log10(rate) + 1) / 10, 0, lr=rate, by="accuracy")
        for rate in rates
    ]
    (chart,) = section(records).figures
    assert isinstance(chart, Chart)
    points, line = chart.series
    assert (points.kind, len(points.x), line.kind) == ("points", 15, "line")
    assert len(line.x) == 5
    assert points.name == line.name


@pytest.mark.parametrize(
    ("num", "best", "told", "row"),
    [
        (15, 13, "No best learning rate is at the edge", "no"),
        (15, 14, "the highest for sgd (1)", "yes, the highest"),
        (31, 29, "one of the highest for sgd (0.794328)", "yes, one of the highest"),
    ],
)
def test_a_search_names_the_best_value_that_was_drawn(
    num: int, best: int, told: str, row: str
) -> None:
    rates = np.geomspace(1e-3, 1.0, num).tolist()
    records = [
        trial("sgd", 0.9 - abs(own - best) / 100, 0, lr=rate, by="accuracy")
        for own, rate in enumerate(rates)
    ]
    found = section(records)
    assert told in found.sentences[0]
    assert found.tables[0].rows[0][-1] == row
