from dataclasses import replace

import pytest

from optlab.records import RunRecord
from optlab.report.charts import Chart, Views
from optlab.report.page import Section
from optlab.report.sections.across_tasks import FIXED, TUNED, across_tasks
from tests.report.trials import evidence, trials

TASKS = ("blobs", "digits", "spirals", "xor")


def section(values: dict[str, list[float]], tasks: tuple[str, ...] = TASKS) -> Section | None:
    records: list[RunRecord] = [r for task in tasks for r in trials(values, task=task)]
    return across_tasks(evidence(records))


def test_ranks_have_bars_of_half_a_critical_difference() -> None:
    found = section({"adam": [0.9, 0.91], "sgd": [0.8, 0.82], "lion": [0.6, 0.7]})
    assert found is not None
    ranks, scores = found.figures
    assert isinstance(ranks, Chart)
    assert isinstance(scores, Chart)
    assert ranks.y.names == ("adam", "sgd", "lion")
    # Demsar (2006), table 5(a): 2.343 for three methods.
    half = 2.343 * (3 * 4 / (6 * 4)) ** 0.5 / 2
    first = ranks.series[0]
    assert first.right is not None
    assert (first.x[0], first.right[0] - first.x[0]) == pytest.approx((1.0, half), rel=1e-3)
    assert ranks.marks[0].at == first.right[0]
    assert "1 of the others is so far behind the first" in found.sentences[0]


def test_methods_that_tie_are_all_named() -> None:
    found = section({"adam": [0.9], "sgd": [0.9], "lion": [0.6], "muon": [0.5]})
    assert found is not None
    assert "adam and sgd have the lowest average rank, 1.5, and muon has the" in found.sentences[0]


def test_many_configurations_that_tie_are_counted() -> None:
    cells = {f"adam {rate}": [0.5] for rate in (0.1, 0.2, 0.4)}
    found = section({"adam 1": [0.9], **cells, "sgd 0.1": [0.8]})
    assert found is not None
    assert "and 3 of them have the highest, 4." in found.sentences[1]


def test_tests_over_options_of_one_task_are_called_too_sure() -> None:
    values = {"adam": [0.9], "sgd": [0.8]}
    records = [
        replace(run, config={**run.config, "task": {"name": "digits", "label_noise": noise}})
        for noise in (0.0, 0.1, 0.2)
        for run in trials(values, task="digits")
    ]
    found = across_tasks(evidence(records))
    assert found is not None
    assert "These 3 tasks are one and the same under other" in found.sentences[1]
    assert "p-values and the distance are too small" in found.sentences[1]
    independent = section({"adam": [0.9], "sgd": [0.8]})
    assert independent is not None
    assert not any("too small" in sentence for sentence in independent.sentences)


def test_optimizers_and_configurations_are_told_apart_where_they_differ() -> None:
    found = section({"adam 0.1": [0.9, 0.8], "adam 1": [0.5, 0.6], "sgd 0.1": [0.7, 0.7]})
    assert found is not None
    assert all(isinstance(figure, Views) for figure in found.figures)
    (table,) = found.tables
    assert [row[0] for row in table.rows] == [TUNED] * 2 + [FIXED] * 3
    assert {str(row[1]) for row in table.rows[2:]} == {"adam, lr=0.1", "adam, lr=1", "sgd, lr=0.1"}


def test_without_anything_to_tune_there_is_one_comparison() -> None:
    found = section({"adam": [0.9], "sgd": [0.8], "lion": [0.7]})
    assert found is not None
    assert {row[0] for row in found.tables[0].rows} == {TUNED}
    assert len(found.sentences) == 2


def test_many_methods_are_cut_in_the_figure_and_not_in_the_table() -> None:
    found = section({f"rule{i:02d}": [0.9 - i / 100] for i in range(25)})
    assert found is not None
    ranks = found.figures[0]
    assert isinstance(ranks, Chart)
    assert len(ranks.series) == 20
    assert ranks.title.endswith("average ranks, the best 20 of 25")
    assert len(found.tables[0].rows) == 25


def test_two_tasks_leave_the_section_out() -> None:
    assert section({"adam": [0.9], "sgd": [0.8]}, TASKS[:2]) is None
