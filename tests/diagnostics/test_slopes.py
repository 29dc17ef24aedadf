"""Slopes of activations, optlab's and torch's, against differences of their values."""

import pytest
import torch
from torch import nn

from optlab import registry
from optlab.diagnostics.slopes import ELEMENTWISE_IN_TORCH, has_slopes, slopes

#: Away from kinks and jumps of every activation.
POINTS = torch.tensor([[-3.7, -0.83, -0.21], [0.17, 1.37, 6.9]], dtype=torch.float64)
ARGUMENTS = {"Threshold": (0.1, 0.3)}
OWN = [name for name, kind in registry.activations.items() if kind.elementwise]


def central_difference(module, z, h=1e-6):
    with torch.no_grad():
        return (module(z + h) - module(z - h)) / (2 * h)


@pytest.mark.parametrize("name", OWN)
def test_slopes_of_our_activations(name):
    module = registry.activations.create(name, {}, "activation").double()
    # Differences over 2e-6 are good to about 1e-9 in float64.
    torch.testing.assert_close(
        slopes(module, POINTS), central_difference(module, POINTS).detach(), rtol=1e-6, atol=1e-8
    )


@pytest.mark.parametrize("name", sorted(ELEMENTWISE_IN_TORCH))
def test_slopes_of_torch_activations(name):
    module = getattr(nn, name)(*ARGUMENTS.get(name, ())).double()
    assert has_slopes(module)
    torch.testing.assert_close(
        slopes(module, POINTS), central_difference(module, POINTS), rtol=1e-6, atol=1e-8
    )


def test_the_slope_of_a_prelu_is_its_trained_parameter():
    module = registry.activations.create("prelu", {}, "activation")
    nn.init.constant_(module.weight, 0.125)
    assert slopes(module, torch.tensor([-2.0, 2.0])).tolist() == [0.125, 1.0]


def test_writing_in_place_does_not_reach_the_input():
    z = torch.tensor([-1.0, 1.0])
    assert slopes(nn.ReLU(inplace=True), z).tolist() == [0.0, 1.0]
    assert z.tolist() == [-1.0, 1.0]


@pytest.mark.parametrize(
    "module",
    [
        registry.activations.create("softmax", {}, "activation"),
        *(nn.Softmax(-1), nn.GLU(), nn.RReLU(), nn.Linear(2, 2), nn.Identity(), nn.Dropout()),
    ],
    ids=lambda module: type(module).__name__,
)
def test_what_has_no_slope_per_element_is_left_out(module):
    assert slopes(module, torch.ones(1, 2)) is None
    assert not has_slopes(module)


def test_tokens_have_no_slopes():
    assert slopes(nn.ReLU(), torch.tensor([1, 2])) is None
