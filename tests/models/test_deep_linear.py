"""The deep linear net: its product, its gain, its saddle point (INI-13, E15)."""

import pytest
import torch

from optlab.config import ConfigError, bind
from optlab.init import he_normal_, initialize, zeros_
from optlab.models.context import ModelContext
from optlab.models.deep_linear import DeepLinear, build_deep_linear
from optlab.nn import ReLU
from optlab.registry import initializers


def inputs(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def deep(*sizes, seed=0):
    module = DeepLinear(*sizes).double()
    initialize(module, he_normal_, seed)
    return module


def test_equals_one_linear_layer_of_its_product():
    module, x = deep(6, 5, 7, 3), inputs(4, 2, 3)
    module.output.bias.data = inputs(3)
    assert module.product().shape == (3, 6)
    expected = x.flatten(1) @ module.product().T + module.output.bias
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize("gain", [0.5, 0.9, 1.0, 1.1, 1.5])
def test_identities_multiply_the_input_by_gain_to_the_depth(gain):
    """INI-13: 9.5e-7, 0.12, 1, 6.7 and 3325 after twenty layers."""
    module, x = deep(8, 20, 8, 8), inputs(3, 8)
    initialize(module, initializers.create("identity", {"gain": gain}), seed=0)
    # Initializers draw in float32: 20 roundings of the gain, 6e-8 each.
    torch.testing.assert_close(module(x), gain**20 * x, rtol=1.2e-6, atol=0)


def test_entries_of_one_multiply_by_the_width_instead():
    """E15: 8^20 = 1.2e18."""
    module = deep(8, 20, 8, 8)
    initialize(module, initializers.create("constant", {"value": 1.0}), seed=0)
    ones = torch.ones(1, 8, dtype=torch.float64)
    assert torch.equal(module(ones), 8.0**20 * ones)


@pytest.mark.parametrize(("depth", "moves"), [(1, True), (2, False), (3, False)])
def test_zero_weights_are_a_saddle_point_of_a_deep_net_only(depth, moves):
    """INI-02: every derivative by a weight has the other weights as factors."""
    module, x = deep(5, depth, 4, 2), inputs(6, 5)
    initialize(module, zeros_, seed=0)
    (module(x) - inputs(6, 2, seed=1)).square().mean().backward()
    slopes = [p.grad.abs().max() > 0 for name, p in module.named_parameters() if p.ndim > 1]
    assert len(slopes) == depth
    assert any(slopes) is moves


def test_only_the_last_layer_has_a_bias():
    assert list(deep(5, 3, 4, 2).state_dict()) == [
        "hidden.0.weight",
        "hidden.1.weight",
        "output.weight",
        "output.bias",
    ]


def test_depth_one_is_a_linear_model():
    assert list(deep(5, 1, 4, 2).state_dict()) == ["output.weight", "output.bias"]


def test_builder_takes_shapes_from_its_context():
    context = ModelContext((2, 3), 4, ReLU)
    options = {"depth": 3, "width": 9}
    module = build_deep_linear(context, **bind(build_deep_linear, options, "model"))
    assert [tuple(p.shape) for p in module.parameters()] == [(9, 6), (9, 9), (4, 9), (4,)]


@pytest.mark.parametrize("options", [{"depth": 0}, {"width": 0}, {"width": 2.5}])
def test_option_out_of_range_is_refused(options):
    with pytest.raises(ConfigError, match=rf"model\.{next(iter(options))}"):
        bind(build_deep_linear, options, "model")


def test_sequences_are_refused():
    with pytest.raises(ConfigError, match="'deep_linear' cannot take this task, which has tokens"):
        build_deep_linear(ModelContext((5,), 4, ReLU, vocabulary=9))
