import math

import numpy as np
import pytest

from optlab.report.charts import Axis, Chart, Panels
from optlab.report.page import Column
from optlab.report.sections.arrange import (
    MOST_SHOWN,
    by_task,
    common,
    listed,
    metric_axis,
    shown_first,
    side_by_side,
)
from tests.report.trials import evidence, trials


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c"], "a, b and c"),
        (["a", "b", "c", "d", "e"], "a, b, c and 2 others"),
    ],
)
def test_words_are_listed_up_to_a_number(words: list[str], said: str) -> None:
    assert listed(words, 3) == said


def test_a_table_has_the_task_where_there_are_several_and_no_empty_column() -> None:
    columns = (Column("a", "a"), Column("b", "b"))
    own, rows = by_task(columns, [("x", (1, math.nan)), ("y", (2, None))])
    assert [column.title for column in own] == ["task", "a"]
    assert rows == [("x", 1), ("y", 2)]
    own, rows = by_task(columns, [("x", (1, 2))])
    assert ([column.title for column in own], rows) == (["a", "b"], [(1, 2)])


def test_one_chart_stands_for_itself_and_several_are_panels() -> None:
    chart = Chart("a_1", "digits", "", Axis("x"), Axis("y"), ())
    alone = side_by_side("a", "Title", "How to read it.", [chart])
    assert isinstance(alone, Chart)
    assert (alone.name, alone.title, alone.caption) == ("a", "Title", "How to read it.")
    assert isinstance(side_by_side("a", "Title", "", [chart, chart]), Panels)


def test_shown_at_first_are_the_best_over_all_tasks() -> None:
    names = [f"rule{place:02d}" for place in range(MOST_SHOWN + 1)]
    values = {name: [0.9 - place / 100] for place, name in enumerate(names)}
    others = {**values, names[-1]: [0.99]}  # last on the first task alone
    records = [*trials(values, "a"), *trials(others, "b"), *trials(others, "c")]
    assert shown_first(evidence(records).ranking) == {*names[:-2], names[-1]}


def test_a_metric_has_the_scale_that_suits_all_its_values() -> None:
    values = [np.array([0.5, np.inf]), np.array([0.999])]
    assert metric_axis("accuracy", values) == Axis("validation accuracy", "odds")
    assert metric_axis("loss", [np.array([1e-3]), np.array([1.0])]).scale == "log"
    assert metric_axis("loss", [np.array([-1.0]), np.array([1.0])]).scale == "linear"


def test_what_differs_has_another_word() -> None:
    assert common(["loss", "loss"], "metric") == "loss"
    assert common(["loss", "accuracy"], "metric") == "metric"
