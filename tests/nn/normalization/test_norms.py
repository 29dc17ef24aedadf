"""The group ``norm``: every choice makes a module for a layer, with the class's own defaults."""

import inspect

import pytest
import torch

from optlab.config import ConfigError, options_of
from optlab.models.mlp import MLP
from optlab.nn.normalization.batchnorm import BatchNorm1d
from optlab.nn.normalization.layernorm import LayerNorm
from optlab.nn.normalization.norms import batchnorm, layernorm
from optlab.registry import norms

OTHERS = {
    batchnorm: (
        BatchNorm1d,
        {"eps": 0.5, "momentum": None, "affine": False, "eps_mode": "sigma"},
    ),
    layernorm: (LayerNorm, {"eps": 0.5, "elementwise_affine": True, "bias": False}),
}


def random(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 4, 3)], ids=["rows", "images"])
@pytest.mark.parametrize("name", list(norms))
def test_choice_makes_a_module_that_keeps_the_shape(name, shape):
    module = norms.create(name, {})(6, len(shape) - 2)
    assert module(random(*shape)).shape == shape


@pytest.mark.parametrize("name", sorted(set(norms) - {"none"}))
def test_images_need_the_other_module(name):
    make = norms.create(name, {})
    with pytest.raises(ConfigError, match="takes inputs of shape"):
        make(6)(random(5, 6, 4, 3))
    with pytest.raises(ConfigError, match=r"takes inputs of shape \(B, 6, H, W\)"):
        make(6, 2)(random(5, 6))


@pytest.mark.parametrize("make", OTHERS)
def test_builder_has_the_defaults_of_the_class_and_passes_them_on(make):
    kind, others = OTHERS[make]
    constructor = inspect.signature(kind).parameters
    defaults = {name: option.default for name, option in options_of(make).items()}
    assert defaults == {name: constructor[name].default for name in defaults}
    assert set(others) == set(defaults)
    assert repr(make(6, **others)) == repr(kind(6, **others))
    assert list(make(6, **others).state_dict()) == list(kind(6, **others).state_dict())


def test_image_builder_passes_options_on():
    made = batchnorm(6, 2, momentum=None, eps=0.5, eps_mode="sigma", affine=False)
    assert (made.eps, made.momentum, made.weight, made.eps_mode) == (0.5, None, None, "sigma")
    assert layernorm(6, 2, bias=False, eps=0.5).bias is None


@pytest.mark.parametrize("make", OTHERS)
def test_other_numbers_of_axes_are_refused(make):
    with pytest.raises(ConfigError, match=r"0 \(rows\) or 2 \(images\) spatial axes, got 1"):
        make(6, 1)


@pytest.mark.parametrize(("name", "has_bias"), [("batchnorm", False), ("layernorm", True)])
def test_linear_layer_needs_its_bias_unless_a_batch_mean_takes_it_away(name, has_bias):
    net = MLP(5, (6,), 3, norm=norms.create(name, {}))
    assert (net.hidden[0].linear.bias is not None) is has_bias


def test_none_does_nothing():
    x = torch.ones(2, 3)
    module = norms.create("none", {})(3)
    assert module(x) is x
    assert not list(module.state_dict())
