import importlib
from typing import Any

import pytest

from optlab.config import ConfigError
from optlab.registry import Registry
from optlab.types import Positive


class Square:
    def __init__(self, side: Positive = 1.0) -> None:
        self.side = side


def scaled(value: float, *, factor: Positive = 2.0) -> float:
    return value * factor


@pytest.fixture
def shapes() -> Registry[Any]:
    registry: Registry[Any] = Registry("shape")
    registry.register("square")(Square)
    registry.register("scaled")(scaled)
    return registry


def test_register_returns_its_entry_unchanged(shapes: Registry[Any]) -> None:
    assert shapes.register("other")(Square) is Square


def test_get_returns_what_was_registered(shapes: Registry[Any]) -> None:
    assert shapes.get("square") is Square


def test_unknown_name_lists_the_known_ones_nearest_first(shapes: Registry[Any]) -> None:
    with pytest.raises(ConfigError, match=r"^unknown shape 'sqare'; .*: square, scaled$"):
        shapes.get("sqare")


def test_taken_name_is_refused_with_both_origins(shapes: Registry[Any]) -> None:
    with pytest.raises(ConfigError, match=r"shape 'square' is already registered by .*\.Square;.*"):
        shapes.register("square")(scaled)


def test_the_same_class_may_come_again_when_its_module_is_imported_again() -> None:
    registry: Registry[Any] = Registry("shape")
    registry.register("square")(Square)
    twin = type("Square", (), {"__module__": __name__})
    registry.register("square")(twin)
    assert registry.get("square") is twin


def test_create_constructs_a_class_with_checked_options(shapes: Registry[Any]) -> None:
    assert shapes.create("square", {"side": 3}).side == 3.0


def test_create_binds_the_options_of_a_function(shapes: Registry[Any]) -> None:
    assert shapes.create("scaled", {"factor": 3.0})(2.0) == 6.0


@pytest.mark.parametrize(
    ("where", "path"), [("", "shape.side"), ("model.shape", "model.shape.side")]
)
def test_create_names_the_place_of_a_bad_option(
    shapes: Registry[Any], where: str, path: str
) -> None:
    with pytest.raises(ConfigError, match=rf"got -1.0 \({path}\)$"):
        shapes.create("square", {"side": -1.0}, where)


def test_create_says_which_other_choice_has_an_option(shapes: Registry[Any]) -> None:
    with pytest.raises(
        ConfigError,
        match=r"^shape=square has no option 'factor' \(scaled has\); .* nearest first: side$",
    ):
        shapes.create("square", {"factor": 3.0})


def test_create_refuses_an_option_that_no_choice_has(shapes: Registry[Any]) -> None:
    with pytest.raises(
        ConfigError, match=r"^unknown option of shape 'sied'; known, nearest first: side$"
    ):
        shapes.create("square", {"sied": 3.0})


def test_iteration_membership_and_items_agree(shapes: Registry[Any]) -> None:
    assert list(shapes) == ["scaled", "square"]
    assert all(name in shapes for name in shapes)
    assert "circle" not in shapes
    assert shapes.items() == [("scaled", scaled), ("square", Square)]


def test_every_group_is_called_by_its_configuration_key() -> None:
    module = importlib.import_module("optlab.registry")
    groups = [value.group for value in vars(module).values() if isinstance(value, Registry)]
    assert len(groups) == len(set(groups)) > 0
