import numpy as np
import pytest

from optlab.report.charts import Parallel, Views
from optlab.report.evidence import Evidence
from optlab.report.sections.importance import Importance, importance
from optlab.report.sections.parallel import MOST_LINES, parallel
from tests.report.grids import evidence, run


def question(own: Evidence) -> list[Importance]:
    found = (importance(own, group) for group in own.ranking.ranked)
    return [one for one in found if one is not None]


def test_a_line_crosses_every_axis_at_its_cell() -> None:
    runs = [
        run(0.9 - 0.1 * (lr == 1.0) - 0.3 * (name == "nag"), optimizer=name, lr=lr)
        for name in ("adam", "nag")
        for lr in (1e-3, 1.0)
    ]
    one = parallel(question(evidence(runs)))
    assert isinstance(one, Parallel)
    titles = [axis.title for axis in one.axes]
    assert titles == ["optimizer", "learning rate", "validation accuracy"], "by importance"
    assert one.axes[0].names == ("adam", "nag")
    assert one.axes[1].scale == "log"
    np.testing.assert_allclose(
        one.values, [[0, 1e-3, 0.9], [0, 1.0, 0.8], [1, 1e-3, 0.6], [1, 1.0, 0.5]]
    )
    np.testing.assert_allclose(one.colours, [100, 75, 50, 25])


def test_of_many_cells_some_are_drawn_from_the_best_to_the_worst() -> None:
    runs = [
        run(0.0005 * a + 0.01 * b, lr=0.1 * (1 + a), model__width=b)
        for a in range(100)
        for b in range(8)
    ]
    one = parallel(question(evidence(runs)))
    assert isinstance(one, Parallel)
    assert len(one.values) == MOST_LINES
    assert one.values[0, -1] == pytest.approx(0.0005 * 99 + 0.07)
    assert one.values[-1, -1] == pytest.approx(0.0)
    assert one.colours[[0, -1]] == pytest.approx([100.0, 100 / MOST_LINES])
    assert "300 of 800" in one.caption


def test_each_task_has_a_view() -> None:
    runs = [
        run(0.5, task=task, lr=lr, init=init)
        for task in ("blobs", "digits")
        for lr in (0.1, 1.0)
        for init in ("zeros", "he")
    ]
    views = parallel(question(evidence(runs)))
    assert isinstance(views, Views)
    assert list(views.choices) == ["blobs", "digits"]
    assert views.kind == "task"


def test_lines_are_coloured_by_rank_and_the_lowest_loss_is_the_best() -> None:
    runs = [run(lr=lr, init=init) for lr in (0.1, 1.0) for init in ("zeros", "he")]
    for number, each in enumerate(runs):
        each.result.val.clear()
        each.result.val["loss"] = 10.0**number if number < 3 else 100.0
    one = parallel(question(evidence(runs)))
    assert isinstance(one, Parallel)
    assert one.axes[-1].scale == "log"
    assert one.colours.tolist() == [100.0, 75.0, 37.5, 37.5]
    assert one.colour_title == "cells that are no better (%)"
