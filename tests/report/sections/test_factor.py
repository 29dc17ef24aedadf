import numpy as np
import pytest

from optlab.report.cells import Cell, Estimate
from optlab.report.sections.factor import Factor, factors_of


def cells(*keys: dict) -> list[Cell]:
    none = Estimate(0.5, 0.0, 0.0, 0.0)
    return [Cell(1, key, "accuracy", "", 1, {}, none, none, 0.0, 0.0) for key in keys]


def titles(*keys: dict) -> dict[str, Factor]:
    return {factor.title: factor for factor in factors_of(cells(*keys))}


def test_levels_are_in_order_whatever_the_order_of_the_cells() -> None:
    found = titles(
        {"optimizer.name": "sgd", "optimizer.lr": 0.1, "activation.name": "tanh"},
        {"optimizer.name": "adam", "optimizer.lr": 1e-3, "activation.name": "relu"},
        {"optimizer.name": "adam", "optimizer.lr": 0.1, "activation.name": "tanh"},
        {"optimizer.name": "sgd", "optimizer.lr": 1e-3, "activation.name": "tanh"},
    )
    assert found["optimizer"].levels == ("adam", "sgd")
    assert found["learning rate"].levels == ("0.001", "0.1")
    assert found["learning rate"].codes.tolist() == [1, 0, 1, 0]
    assert found["activation"].axis.names == ("relu", "tanh")
    assert found["activation"].places.tolist() == [1.0, 0.0, 1.0, 1.0]


def test_drawn_numbers_have_so_many_digits_as_tell_them_apart() -> None:
    rates = (0.000176471, 0.0483253, 0.0483101, 0.1)
    found = titles(*({"optimizer.lr": rate} for rate in rates))
    assert found["learning rate"].levels == ("0.0001765", "0.04831", "0.04833", "0.1")


def test_what_follows_from_another_factor_is_none() -> None:
    """Batches of full size are the method of batch_gd; every rate here is its optimizer's."""
    found = titles(
        {"optimizer.name": "adam", "trainer.batch_size": 32, "optimizer.lr": 0.1},
        {"optimizer.name": "batch_gd", "trainer.batch_size": "full", "optimizer.lr": 1.0},
        {"optimizer.name": "nag", "trainer.batch_size": 32, "optimizer.lr": 0.1},
    )
    assert list(found) == ["optimizer"]


def test_what_does_not_vary_or_sets_tasks_apart_is_none() -> None:
    keys = [{"task.name": name, "init.name": "zeros"} for name in ("blobs", "digits")]
    assert titles(*keys) == {}


def test_layers_of_equal_width_are_a_depth_and_a_width() -> None:
    sizes = ([8], [8, 8], [16, 16], [16])
    found = titles(*({"model.hidden": own} for own in sizes))
    assert found["depth (hidden layers)"].places.tolist() == [1, 2, 2, 1]
    assert found["width (units of a layer)"].places.tolist() == [8, 8, 16, 16]
    assert list(titles(*({"model.hidden": own} for own in ([8], [8, 8])))) == [
        "depth (hidden layers)"
    ]


def test_layers_of_several_widths_are_one_factor() -> None:
    found = titles({"model.hidden": [16, 8]}, {"model.hidden": [8]})
    assert found["hidden"].levels == ("[8]", "[16, 8]"), "the shorter first"


def test_options_that_only_some_methods_have_are_absent_in_others() -> None:
    found = titles(
        {"optimizer.name": "momentum", "optimizer.momentum": 0.9},
        {"optimizer.name": "momentum", "optimizer.momentum": 0.99},
        {"optimizer.name": "adam", "optimizer.momentum": None},
    )
    assert found["momentum"].levels == ("-", "0.9", "0.99")
    assert found["momentum"].axis.scale == "names"


def test_amsgrad_and_transforms_are_told_as_everywhere() -> None:
    found = titles(
        {"optimizer.name": "adam", "optimizer.amsgrad": True, "transform.cautious": True},
        {"optimizer.name": "adam", "optimizer.amsgrad": False, "transform.cautious": False},
        {"optimizer.name": "adam", "optimizer.amsgrad": True, "transform.cautious": False},
    )
    assert found["optimizer"].levels == ("adam", "amsgrad")
    assert found["transform"].levels == ("cautious", "none")


@pytest.mark.parametrize(
    ("values", "scale"), [((1e-4, 1e-1), "log"), ((0.8, 0.9), "linear"), ((0.0, 100.0), "linear")]
)
def test_numbers_far_apart_lie_on_a_logarithm(values: tuple[float, ...], scale: str) -> None:
    (found,) = factors_of(cells(*({"regularizer.l2": value} for value in values)))
    assert found.axis.scale == scale


def test_many_numbers_of_a_search_are_taken_together_in_equal_parts() -> None:
    drawn = np.geomspace(1e-4, 1, 24)
    (found,) = factors_of(cells(*({"optimizer.lr": float(lr)} for lr in drawn)))
    assert np.bincount(found.codes).tolist() == [4] * 6
    assert (np.diff(found.codes) >= 0).all()
    assert found.levels[0] == "0.0001 .. 0.000332"
    assert found.places.tolist() == drawn.tolist(), "an axis still has every number"


def test_keys_that_end_alike_keep_their_sections() -> None:
    key = {"optimizer.eps": 1e-8, "norm.eps": 1e-5}
    found = titles(key, {**key, "optimizer.eps": 1e-3}, {**key, "norm.eps": 1e-3})
    assert list(found) == ["optimizer.eps", "norm.eps"]
