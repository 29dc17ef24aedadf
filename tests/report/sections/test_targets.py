from dataclasses import replace
from typing import Any

import pytest

from optlab.records import RunRecord
from optlab.report.charts import Chart, Panels, Views
from optlab.report.evidence import Evidence
from optlab.report.page import Section
from optlab.report.ranking import rank
from optlab.report.sections.targets import NO_TIME, steps_to_target
from tests.report.conftest import MakeRun

#: Accuracies at updates 0, 5 and 10 of 10, by optimizer and seed; the target is adam's median, 0.8.
CURVES = {
    "adam": [(0.1, 0.8, 0.8), (0.1, 0.6, 0.9), (0.1, 0.6, 0.7)],
    "lion": [(0.1, 0.8, 0.8), (0.1, 0.9, 0.9), (0.1, 0.2, 0.9)],
    "sgd": [(0.1, 0.2, 0.3), (0.1, 0.2, 0.3), (0.1, 0.2, 0.3)],
}


def runs(make_run: MakeRun, task: str = "digits", **changes: Any) -> list[RunRecord]:
    records = []
    for optimizer, curves in CURVES.items():
        for seed, accuracies in enumerate(curves):
            config = {"seed": seed, "task": {"name": task}, "optimizer": {"name": optimizer}}
            val = {"accuracy": accuracies[-1], "loss": 1.0}
            record = make_run(config, val=val, curves={"accuracy/val": accuracies})
            records.append(replace(record, result=replace(record.result, **changes)))
    return records


def section(records: list[RunRecord]) -> Section:
    found = steps_to_target(Evidence(records, rank(records)))
    assert found is not None
    return found


def view(found: Section, choice: str) -> Chart:
    (figure,) = found.figures
    assert isinstance(figure, Views)
    chart = figure.choices[choice]
    assert isinstance(chart, Chart)
    return chart


def test_without_curves_there_is_no_section(make_run: MakeRun) -> None:
    record = make_run({"task": {"name": "digits"}}, val={"accuracy": 0.5, "loss": 1.0})
    assert steps_to_target(Evidence([record], rank([record]))) is None


def test_who_is_first_and_who_never_is_said(make_run: MakeRun) -> None:
    sentence = section(runs(make_run)).sentences[0]
    assert "validation accuracy of 0.8, the median over seeds of the best baseline" in sentence
    assert "lion got there first, after 1 epoch in the median. Never: sgd." in sentence


def test_the_table_has_medians_with_misses(make_run: MakeRun) -> None:
    (best,) = section(runs(make_run)).tables  # each optimizer has but one cell
    assert [column.key for column in best.columns] == [
        *("target", "optimizer", "cell", "runs", "reached_percent", "updates", "epochs"),
    ]
    rows = {row[1]: row[4:] for row in best.rows}
    assert list(rows) == ["lion", "adam", "sgd"]
    assert rows["lion"] == (pytest.approx(100), 5, 1)
    assert rows["adam"] == (pytest.approx(200 / 3), 10, 2)  # of 5, 10 and never
    assert rows["sgd"] == (0, float("inf"), float("inf"))


def test_the_chart_counts_runs_up_to_the_end(make_run: MakeRun) -> None:
    lines = {line.name: line for line in view(section(runs(make_run)), "by updates").series}
    assert lines["adam"].kind == "steps"
    assert lines["adam"].x.tolist() == [0, 5, 10, 10]
    assert lines["adam"].y.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 2 / 3])
    assert lines["sgd"].y.tolist() == [0, 0]


@pytest.mark.parametrize(("shared_by", "is_timed"), [(1, True), (8, False), (None, False)])
def test_time_is_of_runs_that_were_timed_alone(
    make_run: MakeRun, shared_by: int | None, is_timed: bool
) -> None:
    found = section(runs(make_run, shared_by=shared_by))
    (figure,) = found.figures
    assert isinstance(figure, Views)
    assert ("by seconds" in figure.choices) is is_timed
    assert (NO_TIME in found.sentences) is not is_timed
    assert ("seconds" in [column.key for column in found.tables[0].columns]) is is_timed


def test_where_updates_are_unlike_a_fair_unit_comes_first(make_run: MakeRun) -> None:
    records = runs(make_run, row_gradients=640)
    one = replace(records[0], result=replace(records[0].result, epochs=0.1))
    for own, first in ((records, "by updates"), ([one, *records[1:]], "by row gradients")):
        (figure,) = section(own).figures
        assert isinstance(figure, Views)
        assert next(iter(figure.choices)) == first


def test_tasks_are_panels_of_each_view(make_run: MakeRun) -> None:
    found = section([*runs(make_run, "a"), *runs(make_run, "b")])
    (figure,) = found.figures
    assert isinstance(figure, Views)
    panels = figure.choices["by epochs"]
    assert isinstance(panels, Panels)
    assert [chart.title for chart in panels.charts] == ["a: accuracy 0.8", "b: accuracy 0.8"]


def test_of_several_cells_each_has_a_row(make_run: MakeRun) -> None:
    config = {"task": {"name": "digits"}, "optimizer": {"name": "adam", "lr": 1.0}}
    val = {"accuracy": 0.5, "loss": 1.0}
    quick = make_run(config, val=val, curves={"accuracy/val": [0.8, 0.9, 0.5]})
    _, cells = section([*runs(make_run), quick]).tables
    assert cells.rows[0][2] == "adam, lr=1"  # it ends worse than the other
    assert len(cells.rows) == 4


def test_runs_without_a_curve_are_counted_apart(make_run: MakeRun) -> None:
    config = {"seed": 9, "task": {"name": "digits"}, "optimizer": {"name": "adam"}}
    silent = make_run(config, val={"accuracy": 0.8, "loss": 1.0})
    assert any(
        "1 run kept no curve" in text for text in section([*runs(make_run), silent]).sentences
    )
