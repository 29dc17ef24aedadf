"""The group ``norm``: every choice makes a module for a layer, with the class's own defaults."""

import inspect

import pytest
import torch

from optlab.config import options_of
from optlab.nn import BatchNorm1d, batchnorm
from optlab.registry import norms


@pytest.mark.parametrize("name", list(norms))
def test_choice_makes_a_module_that_keeps_the_shape(name):
    module = norms.create(name, {})(6)
    assert module(torch.randn(5, 6, generator=torch.Generator().manual_seed(0))).shape == (5, 6)


def test_builder_has_the_defaults_of_the_class_and_passes_them_on():
    constructor = inspect.signature(BatchNorm1d).parameters
    defaults = {name: option.default for name, option in options_of(batchnorm).items()}
    assert defaults == {name: constructor[name].default for name in defaults}
    others = {"eps": 0.5, "momentum": 0.7, "affine": False, "eps_mode": "sigma"}
    assert set(others) == set(defaults)
    made = batchnorm(6, **others)
    assert (made.eps, made.momentum, made.weight, made.eps_mode) == (0.5, 0.7, None, "sigma")


def test_none_does_nothing():
    x = torch.ones(2, 3)
    module = norms.create("none", {})(3)
    assert module(x) is x
    assert not list(module.state_dict())
