"""The first place that NaN or infinity comes from."""

import math

import torch
from torch import nn

from optlab.diagnostics import GradientMonitor
from optlab.diagnostics.nonfinite import NonFinite
from optlab.models.mlp import MLP
from optlab.nn import Tanh


def look(module, x):
    finite = NonFinite()
    with GradientMonitor(module, (finite,)) as monitor:
        module(x).sum().backward()
    return monitor.values()["nonfinite"].item(), finite.first()


def network():
    return MLP(3, [4, 4], 2, Tanh)


def test_finite_numbers_have_no_first():
    assert look(network(), torch.ones(2, 3)) == (0.0, None)


def test_large_numbers_are_finite():
    class Large(nn.Module):
        def forward(self, x):
            return x * 3e38  # its square is not a float32

    assert look(Large(), torch.ones(2, requires_grad=True)) == (0.0, None)


def test_the_first_output_is_named_by_its_module():
    module = network()
    with torch.no_grad():
        module.hidden[1].linear.weight[0, 0] = math.inf
    count, first = look(module, torch.ones(2, 3))
    assert first == "hidden.1.linear"
    assert count >= 1  # tanh(inf) = 1 heals the outputs after it


def test_a_nan_counts_wherever_it_goes():
    module = network()
    with torch.no_grad():
        module.hidden[1].linear.bias[0] = math.nan
    count, first = look(module, torch.ones(2, 3))
    # Outputs: linear and activation of layer 1, and the last; their gradients: all but the last's
    # and its input's, which do not depend on outputs.
    assert first == "hidden.1.linear"
    assert count == 3 + 3


class Root(nn.Module):
    def forward(self, x):
        return x.sqrt()


def test_a_gradient_is_named_where_outputs_are_finite():
    """The slope of the root at 0 is infinite; a ReLU at 0 lets nothing of that through."""
    module = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), Root())
    with torch.no_grad():
        module[0].weight.fill_(-1.0)
        module[0].bias.zero_()
    count, first = look(module, torch.ones(1, 2))
    assert first == "1.gradient"
    assert count == 1.0
