from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optlab.records import RunRecord
from optlab.report.cells import Cell
from optlab.report.measures.swept import hyperparameters, sweeps
from tests.report.trials import evidence, trial

ACCURACIES = (0.5, 0.9, 0.7)


def run(accuracy: float, optimizer: str = "adam", **options: Any) -> RunRecord:
    record = trial(optimizer, accuracy, 0, by="accuracy")
    own = {**record.config["optimizer"], **options}
    return replace(record, config={**record.config, "optimizer": own})


def cells(runs: Sequence[RunRecord]) -> Sequence[Cell]:
    (found,) = evidence(runs).ranking.groups.values()
    return found


def test_at_each_value_the_best_of_all_else_counts() -> None:
    runs = [
        run(accuracy - (0.2 if decay else 0), lr=lr, decay=decay)
        for accuracy, lr in zip(ACCURACIES, (0.01, 0.1, 1.0), strict=True)
        for decay in (0.0, 0.1)
    ]
    found = sweeps(cells(runs), "optimizer.lr")["adam"]
    assert found.values.tolist() == [0.01, 0.1, 1.0]
    np.testing.assert_allclose(-found.costs, ACCURACIES)
    assert (len(found.trials), found.num_values, found.is_search) == (6, 3, False)


def test_three_numbers_are_worth_a_word_and_the_learning_rate_comes_first() -> None:
    options = [
        {"beta1": 0.8, "lr": 0.1, "eps": 1, "nesterov": True, "kind": "a"},
        {"beta1": 0.9, "lr": 0.2, "eps": 1, "nesterov": False, "kind": "b"},
        {"beta1": 0.95, "lr": 0.3, "eps": 2, "nesterov": None, "kind": "c"},
    ]
    runs = [run(a, **own) for a, own in zip(ACCURACIES, options, strict=True)]
    assert hyperparameters(cells(runs)) == ["optimizer.lr", "optimizer.beta1"]


def test_values_of_several_optimizers_do_not_add_up() -> None:
    runs = [run(0.5, name, lr=lr) for name, lr in (("adam", 0.1), ("adam", 0.2), ("sgd", 1.0))]
    assert hyperparameters(cells(runs)) == []


def test_points_in_a_plane_are_a_search() -> None:
    points = [(0.01, 0.3), (0.02, 0.1), (0.4, 0.2), (0.9, 0.4)]
    runs = [run(0.5 + lr / 10, lr=lr, decay=decay) for lr, decay in points]
    found = sweeps(cells(runs), "optimizer.lr")["adam"]
    assert found.is_search
    # Three bins, even in the logarithm; the one in the middle is empty.
    assert found.values.tolist() == [0.02, 0.9]


def test_of_many_values_the_best_of_each_bin_counts() -> None:
    rates = np.geomspace(1e-4, 1.0, 24)
    peak = 0.9 - 0.1 * np.abs(np.log10(rates) + 2)
    accuracies = np.where(np.arange(24) % 3 == 0, 0.1, peak)  # a third is spoilt by something else
    runs = [run(float(a), lr=float(lr)) for a, lr in zip(accuracies, rates, strict=True)]
    found = sweeps(cells(runs), "optimizer.lr")["adam"]
    assert (found.is_search, found.num_values) == (True, 24)
    assert len(found.values) == 8
    assert (-found.costs > 0.6).all()


def test_rates_are_told_apart_by_ratio_and_what_may_be_zero_is_not() -> None:
    runs = [
        run(a, lr=lr, momentum=m)
        for a, lr, m in zip(ACCURACIES, (1, 2, 3), (0.0, 0.5, 0.9), strict=True)
    ]
    assert sweeps(cells(runs), "optimizer.lr")["adam"].is_log
    assert not sweeps(cells(runs), "optimizer.momentum")["adam"].is_log


@pytest.mark.parametrize(
    ("num", "best", "place"),
    [
        (8, 0, "the lowest"),
        (8, 1, ""),
        (8, 6, ""),
        (8, 7, "the highest"),
        (20, 18, ""),
        (20, 19, "the highest"),
        (30, 0, "the lowest"),
        (30, 2, "one of the lowest"),
        (30, 3, ""),
        (30, 26, ""),
        (30, 27, "one of the highest"),
    ],
)
def test_the_end_of_a_search_is_judged_by_its_values(num: int, best: int, place: str) -> None:
    """Its bins hold several values each, all but one of which lie inside."""
    rates = np.geomspace(1e-4, 1e-1, num)
    accuracies = [0.9 - 0.01 * abs(own - best) for own in range(num)]
    runs = [
        run(a, lr=float(lr), decay=float(1 / lr)) for a, lr in zip(accuracies, rates, strict=True)
    ]
    found = sweeps(cells(runs), "optimizer.lr")["adam"]
    assert found.is_search
    assert len(found.values) < num
    assert found.place == place
