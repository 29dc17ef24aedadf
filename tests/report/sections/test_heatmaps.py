import math

import numpy as np

from optlab.report.charts import Heatmap
from optlab.report.evidence import Evidence
from optlab.report.sections.heatmaps import MOST_MAPS, heatmaps
from optlab.report.sections.importance import Importance, importance
from tests.report.grids import evidence, run


def question(own: Evidence) -> list[Importance]:
    found = (importance(own, group) for group in own.ranking.ranked)
    return [one for one in found if one is not None]


def three() -> Evidence:
    """Accuracies of which the activation decides much, the initializer little."""
    values = {("relu", "he"): 0.9, ("relu", "xavier"): 0.8, ("tanh", "he"): 0.3}
    return evidence(
        [
            run(value + 0.01 * lr, activation=a, init=i, lr=lr)
            for (a, i), value in values.items()
            for lr in (0.1, 1.0)
        ]
    )


def test_every_pair_has_a_map_and_what_matters_most_is_first() -> None:
    views = heatmaps(question(three()))
    assert views is not None
    assert next(iter(views.choices)) == "activation x init"
    assert set(views.choices) == {
        "activation x init",
        "activation x learning rate",
        "init x learning rate",
    }


def test_a_place_has_the_best_of_all_else_and_is_empty_where_nothing_ran() -> None:
    views = heatmaps(question(three()))
    assert views is not None
    one = views.choices["activation x init"]
    assert isinstance(one, Heatmap)
    assert (one.y.names, one.x.names) == (("relu", "tanh"), ("he", "xavier"))
    np.testing.assert_allclose(one.values, [[0.91, 0.81], [0.31, math.nan]])
    assert one.texts == (("0.910", "0.810"), ("0.310", ""))


def test_losses_take_the_lowest_and_name_what_diverged() -> None:
    runs = [
        run(0.0, "diverged" if lr == 1.0 else "done", optimizer=name, lr=lr, init=init)
        for name in "ab"
        for lr in (0.1, 1.0)
        for init in ("x", "y")
    ]
    for number, each in enumerate(runs):
        each.result.val.clear()
        each.result.val.update({"loss": 1.0 + number} if each.result.status == "done" else {})
    views = heatmaps(question(evidence(runs)))
    assert views is not None
    one = views.choices["optimizer x learning rate"]
    assert isinstance(one, Heatmap)
    assert one.values.tolist() == [[1.0, math.inf], [5.0, math.inf]]
    assert one.texts[0] == ("1.00", "diverged")


def test_numbers_lie_across() -> None:
    views = heatmaps(question(three()))
    assert views is not None
    assert all(v.x.title == "learning rate" for n, v in views.choices.items() if "rate" in n)


def test_tasks_take_turns_up_to_the_most_maps() -> None:
    runs = [
        run(0.1 * a + 0.2 * b, task=task, activation=f"{a}", init=f"{b}", lr=lr, norm=norm)
        for task in ("blobs", "digits", "spirals")
        for a in range(2)
        for b in range(2)
        for lr in (0.1, 1.0)
        for norm in ("none", "batchnorm")
    ]
    views = heatmaps(question(evidence(runs)))
    assert views is not None
    assert len(views.choices) == MOST_MAPS
    assert [name.partition(": ")[0] for name in list(views.choices)[:4]] == [
        "blobs",
        "digits",
        "spirals",
        "blobs",
    ]
    assert views.kind == "pair of factors"


def test_the_same_pair_of_every_task_is_named_once() -> None:
    runs = [
        run(0.1 * lr, task=task, lr=lr, init=init)
        for task in ("blobs", "digits")
        for lr in (0.1, 1.0)
        for init in ("zeros", "he")
    ]
    views = heatmaps(question(evidence(runs)))
    assert views is not None
    assert list(views.choices) == ["blobs", "digits"]
    assert views.kind == "task"
    assert views.title == "Two factors at a time: init x learning rate"
