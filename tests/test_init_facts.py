"""What the notes say initial weights do to a net (INI-02 .. 05, INI-11, INI-13)."""

import pytest
import torch
from torch import nn

from optlab import init
from optlab.init import initialize
from optlab.models import MLP
from optlab.nn import Linear, Tanh
from optlab.registry import initializers


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("symmetric", [init.zeros_, init.constant_])
def test_equal_rows_stay_equal_through_training(symmetric):
    """INI-02 and INI-03: units that start equal receive equal gradients for ever."""
    module = MLP(5, (4, 4), 2, activation=Tanh).double()
    initialize(module, symmetric, seed=0)
    x = torch.randn(16, 5, generator=stream(), dtype=torch.float64)
    y = torch.randint(2, (16,), generator=stream())
    for _ in range(5):
        loss = nn.functional.cross_entropy(module(x), y)
        for parameter, grad in zip(
            module.parameters(),
            torch.autograd.grad(loss, list(module.parameters())),
            strict=True,
        ):
            parameter.data.sub_(0.5 * grad)
    for layer in module.hidden:
        torch.testing.assert_close(
            layer.linear.weight, layer.linear.weight[:1].expand_as(layer.linear.weight)
        )
    assert module.output.bias.abs().max().item() > 0.0  # something did learn


def test_random_rows_are_different_rows():
    weight = init.he_normal_(torch.empty(8, 5), generator=stream())
    assert len(torch.unique(weight, dim=0)) == 8


@pytest.mark.parametrize("gain", [0.5, 1.0, 1.5])
def test_stack_of_identities_multiplies_by_gain_to_the_depth(gain):
    """INI-13 and E15."""
    net = nn.Sequential(*(Linear(8, 8, dtype=torch.float64) for _ in range(20)))
    initialize(net, initializers.create("identity", {"gain": gain}), seed=0)
    x = torch.randn(3, 8, generator=stream(), dtype=torch.float64)
    torch.testing.assert_close(net(x), gain**20 * x)


def test_entries_of_one_multiply_by_the_width_instead():
    """E15: "weights close to 1" cannot mean the entries."""
    net = nn.Sequential(*(Linear(8, 8, dtype=torch.float64) for _ in range(20)))
    initialize(net, initializers.create("constant", {"value": 1.0}), seed=0)
    x = torch.ones(1, 8, dtype=torch.float64)
    torch.testing.assert_close(net(x), 8.0**20 * x)


def spread_after(depth, initializer, activation, width=512):
    """Return the deviation of the pre-activations of the last layer over that of the first."""
    z = torch.randn(256, width, generator=stream(5))
    first = float(z.std())
    for layer in range(depth):
        weight = initializer(torch.empty(width, width), generator=stream(layer))
        z = activation(z) @ weight.t()
    return float(z.std()) / first


def test_he_keeps_the_variance_under_relu_and_xavier_halves_it():
    """INI-11. A row's log ratio has deviation sqrt(8 * 5 / 512) / 2 = 0.14: two of them."""
    assert spread_after(8, init.he_normal_, torch.relu) == pytest.approx(1.0, rel=0.28)
    assert spread_after(8, init.xavier_normal_, torch.relu) == pytest.approx(2**-4, rel=0.28)


def test_small_weights_make_a_deep_signal_vanish_and_large_ones_explode():
    """INI-04 and INI-05."""
    assert spread_after(8, init.uniform_small_, torch.tanh, width=64) < 1e-8
    assert spread_after(8, init.uniform_large_, torch.relu, width=64) > 1e6
