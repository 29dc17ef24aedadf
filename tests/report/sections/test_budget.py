import math
from pathlib import Path

import numpy as np
import pytest

from optlab.records import RunRecord, SweepRecord
from optlab.report.charts import Chart, Panels
from optlab.report.evidence import Evidence
from optlab.report.page import Section
from optlab.report.ranking import rank
from optlab.report.sections.budget import MOST_BANDS, budget
from tests.report.trials import evidence, trials

EQUAL = {"adam 0.1": [0.7], "adam 1": [0.8], "sgd 0.1": [0.2], "sgd 1": [0.9]}


def section(records: list[RunRecord]) -> Section:
    found = budget(evidence(records))
    assert found is not None
    return found


def chart(found: Section) -> Chart:
    (figure,) = found.figures
    assert isinstance(figure, Chart)
    return figure


def test_one_trial_of_each_is_no_tuning() -> None:
    assert budget(evidence(trials({"adam": [0.5, 0.6], "sgd": [0.4, 0.5]}))) is None


def test_the_best_depends_on_the_budget() -> None:
    found = section(trials(EQUAL))
    assert "the same number of trials, 2." in found.sentences[1]
    assert "With one trial at random adam is best on digits (accuracy 0.75)" in found.sentences[2]
    assert "with 2 it is sgd (0.9)" in found.sentences[2]
    own = {line.name: line for line in chart(found).series}
    np.testing.assert_allclose(own["sgd"].y, [0.55, 0.9])
    assert chart(found).x.names == ("1", "2")
    assert not chart(found).marks


def test_unequal_numbers_are_said_and_marked() -> None:
    found = section(trials(EQUAL | {"sgd 2": [0.1], "sgd 3": [0.1]}))
    assert "2 to 4 trials on digits (adam the fewest)" in found.sentences[1]
    assert [mark.at for mark in chart(found).marks] == [1]  # the place of the name "2"
    (table,) = found.tables
    assert [column.key for column in table.columns][2:] == ["best_of_1", "best_of_2", "best_of_all"]
    assert {row[0]: row[1] for row in table.rows} == {"sgd": 4, "adam": 2}


def test_rows_are_empty_beyond_the_trials_made() -> None:
    many = {f"sgd {place + 1}": [0.1 + place / 100] for place in range(6)}
    rows = {row[0]: row for row in section(trials(EQUAL | many)).tables[0].rows}
    assert rows["adam"][2:] == (pytest.approx(0.75), pytest.approx(0.8), None, pytest.approx(0.8))


def test_diverged_trials_count_and_are_never_the_mean() -> None:
    losses = {"sgd 0.1": [1.0], "sgd 1": [math.inf], "sgd 10": [math.inf]}
    found = section(trials(losses, by="loss"))
    assert chart(found).series[0].y.tolist() == [math.inf, 1.0, 1.0]
    assert "median of the lowest loss" in found.sentences[0]


def test_bands_are_of_few_optimizers() -> None:
    def bands(count: int) -> list[bool]:
        rules = [f"rule{place}" for place in range(count)]
        values = {f"{rule} {rate}": [0.5 + rate / 10] for rule in rules for rate in (0.1, 1)}
        return [line.low is not None for line in chart(section(trials(values))).series]

    assert all(bands(MOST_BANDS))
    assert not any(bands(MOST_BANDS + 1))


def test_tasks_are_panels_in_one_figure() -> None:
    found = section([*trials(EQUAL, "a"), *trials(EQUAL, "b")])
    (figure,) = found.figures
    assert isinstance(figure, Panels)
    assert len(figure.charts) == 2


def test_a_search_has_its_nested_budgets_in_the_order_of_its_trials() -> None:
    values = {f"sgd {place + 1}": [value] for place, value in enumerate((0.2, 0.9, 0.5))}
    records = trials(values)
    words = ("optimizer.lr=interval(1,3)", "search=halton", "trials=3")
    order = tuple(record.folder for record in (records[2], records[0], records[1]))
    sweep = SweepRecord(Path("digits"), (words,), (), order)
    found = budget(Evidence(records, rank(records), [sweep]))
    assert found is not None
    _, figure = found.figures
    assert isinstance(figure, Chart)
    assert figure.series[0].kind == "steps"
    np.testing.assert_allclose(figure.series[0].y, [0.5, 0.5, 0.9])
    assert [table.name for table in found.tables] == ["budget", "budget_in_order"]
