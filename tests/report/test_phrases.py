from typing import Any

import pytest

from optlab.report.cells import Cell, Estimate, best_by_optimizer, labels
from optlab.report.phrases import optimizer_name, phrases, typed

NONE: dict[str, Any] = {
    "transform.cautious": False,
    "transform.lookahead_steps": 0,
    "transform.lookahead_alpha": 0.5,
    "transform.ema": None,
}


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ({"optimizer.name": "adam", "optimizer.amsgrad": True}, "amsgrad"),
        ({"optimizer.name": "adam", "optimizer.amsgrad": False}, "adam"),
        ({"optimizer.name": "foreign", "optimizer.target": "torch.optim.SGD"}, "torch.optim.SGD"),
        ({"optimizer.name": "foreign", "optimizer.target": None}, "foreign"),
        ({}, "run"),
    ],
)
def test_an_optimizer_is_called_by_what_the_user_chose(key: dict[str, Any], name: str) -> None:
    assert optimizer_name(key) == name


def test_amsgrad_and_classes_of_others_have_labels_and_best_cells_of_their_own() -> None:
    none = {"optimizer.target": None, "optimizer.amsgrad": None}
    keys = [
        {"optimizer.name": "adam", **none, "optimizer.amsgrad": False},
        {"optimizer.name": "adam", **none, "optimizer.amsgrad": True},
        {"optimizer.name": "foreign", **none, "optimizer.target": "torch.optim.SGD"},
        {"optimizer.name": "foreign", **none, "optimizer.target": "a.b.Lion"},
    ]
    names = ["adam", "amsgrad", "torch.optim.SGD", "a.b.Lion"]
    assert labels(keys, ["loss"] * 4) == names
    nothing = Estimate(*[float("nan")] * 4)
    cells = [Cell(1, key, "loss", "", 1, {}, nothing, nothing, 0.0, 0.0) for key in keys]
    assert list(best_by_optimizer(cells)) == names


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({}, "transform=none"),
        ({"transform.cautious": True}, "cautious"),
        ({"transform.ema": 0.99}, "ema=0.99"),
        ({"transform.lookahead_steps": 5}, "lookahead_steps=5 lookahead_alpha=0.5"),
        ({"transform.cautious": True, "transform.ema": 0.9}, "cautious ema=0.9"),
    ],
)
def test_of_a_transform_only_what_is_switched_on_is_told(
    change: dict[str, Any], phrase: str
) -> None:
    key = {**NONE, **change}
    assert phrases(key, set(key)) == [phrase]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), (False, "false"), (1, "1"), (1e-8, "1e-08"), ("a", "a")],
)
def test_typed_values_are_those_of_a_command_line(value: object, text: str) -> None:
    assert typed(value) == text
