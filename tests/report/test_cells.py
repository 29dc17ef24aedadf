import math
from typing import Any

import pytest

from optlab.report.cells import (
    Cell,
    Estimate,
    arranged,
    best_by_optimizer,
    group_of,
    labels,
)
from optlab.report.phrases import show

NOTHING = Estimate(math.nan, math.nan, math.nan, math.nan)


def cell(rank: int, **key: Any) -> Cell:
    """Make a cell whose key has a dot for every double underscore."""
    dotted = {name.replace("__", "."): value for name, value in key.items()}
    return Cell(rank, dotted, "loss", f"cell {rank}", 1, {}, NOTHING, NOTHING, math.nan, math.nan)


def test_a_label_names_what_varies_the_optimizer_first_and_absent_values_not_at_all() -> None:
    keys = [
        {"optimizer.name": "adam", "optimizer.lr": 0.1, "norm.name": "none", "seeded": 1},
        {"optimizer.name": "sgd", "optimizer.lr": 1e-5, "norm.name": "batchnorm", "seeded": 1},
        {"optimizer.name": "none", "optimizer.lr": None, "norm.name": None, "seeded": 1},
    ]
    assert labels(keys, ["loss"] * len(keys)) == [
        "adam, lr=0.1, norm=none",
        "sgd, lr=1e-05, batchnorm",
        "optimizer=none",
    ]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ({"optimizer.name": "adam"}, "adam"),
        ({"optimizer.name": None}, "all runs"),
        ({}, "all runs"),
    ],
)
def test_an_only_cell_is_called_by_its_optimizer(key: dict[str, Any], expected: str) -> None:
    assert labels([key], ["loss"]) == [expected]


def test_a_label_leaves_out_the_batch_size_where_the_optimizer_fixes_it() -> None:
    sizes = {"batch_gd": "full", "sgd": 1, "minibatch_gd": 32, "adam": 32}
    keys = [{"optimizer.name": n, "trainer.batch_size": s} for n, s in sizes.items()]
    assert labels(keys, ["loss"] * len(keys)) == list(sizes)
    keys.append({"optimizer.name": "adam", "trainer.batch_size": 64})
    assert labels(keys, ["loss"] * len(keys))[-2:] == ["adam, batch_size=32", "adam, batch_size=64"]


def test_a_label_keeps_what_an_optimizer_fixes_by_chance() -> None:
    keys = [
        {"optimizer.name": "adam", "init.name": "he_normal"},
        {"optimizer.name": "sgd", "init.name": "zeros"},
    ]
    assert labels(keys, ["loss"] * len(keys)) == ["adam, he_normal", "sgd, zeros"]


def test_a_batch_size_that_varies_under_one_optimizer_is_the_label() -> None:
    keys = [{"optimizer.name": "adam", "trainer.batch_size": size} for size in (16, 32)]
    assert labels(keys, ["loss"] * len(keys)) == ["batch_size=16", "batch_size=32"]


def test_a_label_names_what_varies_among_the_cells_that_it_is_compared_with() -> None:
    keys = [
        {"optimizer.name": "adam", "model.name": "mlp", "task.name": "xor"},
        {"optimizer.name": "sgd", "model.name": "mlp", "task.name": "xor"},
        {"optimizer.name": "adam", "model.name": "point", "task.name": "saddle"},
    ]
    assert labels(keys, ["accuracy", "accuracy", "loss"]) == ["adam", "sgd", "adam"]


def test_a_group_is_named_by_what_sets_it_apart_for_its_metric() -> None:
    key = {"optimizer.name": "adam", "loss.name": "mse", "task.name": "xor", "task.noise": 0.5}
    assert group_of(key, "accuracy") == "xor, noise=0.5"
    assert group_of(key, "loss") == "mse, xor, noise=0.5"
    assert group_of({"optimizer.name": "adam", "task.name": None}, "loss") == ""


def test_cells_are_arranged_by_group_and_rank() -> None:
    cells = [cell(2, task__name="b"), cell(1, task__name="b"), cell(1, task__name="a")]
    ranking = arranged(["task.name"], cells)
    assert list(ranking.groups) == ["a", "b"]
    assert ranking.cells == [cells[2], cells[1], cells[0]]


def test_the_best_cell_of_an_optimizer_is_its_first() -> None:
    names = ("adam", "sgd", "adam", "sgd")
    cells = [cell(rank, optimizer__name=name) for rank, name in enumerate(names, start=1)]
    assert best_by_optimizer(cells) == {"adam": cells[0], "sgd": cells[1]}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "-"),
        (1e-5, "1e-05"),
        (0.30000000000000004, "0.3"),
        (32, "32"),
        ([64, 32], "[64, 32]"),
    ],
)
def test_values_are_shown_short(value: Any, expected: str) -> None:
    assert show(value) == expected
