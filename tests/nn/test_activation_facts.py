"""What the notes say activations do to a net: centring, saturation, dead units (ACT-02 .. 20)."""

import math

import pytest
import torch
from torch import nn

from optlab.nn import ELU, SELU, Identity, LeakyReLU, Linear, ReLU, Sigmoid, Step, Tanh
from optlab.nn.metrics import dead_unit_fraction


def test_backpropagation_cannot_train_through_a_step():
    """ACT-19."""
    net = nn.Sequential(Linear(2, 3), Step(), Linear(3, 1))
    net(torch.randn(8, 2, generator=torch.Generator().manual_seed(0))).sum().backward()
    assert (net[0].weight.grad == 0).all()
    assert (net[2].weight.grad != 0).any()


def test_stacked_linear_layers_are_one_linear_map():
    """ACT-20: so no depth of them solves XOR."""
    net = nn.Sequential(Linear(2, 4), Identity(), Linear(4, 4), Identity(), Linear(4, 1)).double()
    corners = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]], dtype=torch.float64)
    z = net(corners).squeeze()
    torch.testing.assert_close(z[0] + z[3], z[1] + z[2])


def test_selu_keeps_mean_and_variance_through_twenty_layers():
    """ACT-17, with LeCun normal weights; the bounds are those of the course notes' row."""
    stream = torch.Generator().manual_seed(0)
    h = torch.randn(256, 256, generator=stream)
    for _ in range(20):
        h = SELU()(h @ torch.randn(256, 256, generator=stream) / math.sqrt(256))
    assert abs(float(h.mean())) < 0.2
    assert 0.8 < float(h.std()) < 1.2


def normal_mean(values_of, deviation=1.0):
    """Integrate a function against N(0, deviation^2) on a fine grid."""
    x = torch.linspace(-10, 10, 20001, dtype=torch.float64)
    weight = torch.exp(-x.square() / 2)
    return float((values_of(deviation * x) * weight).sum() / weight.sum())


@pytest.mark.parametrize(
    ("module", "mean"),
    [(Sigmoid(), 0.5), (Tanh(), 0.0), (ReLU(), 1 / math.sqrt(2 * math.pi)), (SELU(), 0.0)],
)
def test_only_some_are_zero_centred(module, mean):
    """ACT-02 (4), ACT-05, ACT-08, ACT-12; exact values, so only the grid limits the digits."""
    assert normal_mean(module) == pytest.approx(mean, abs=1e-5)


@pytest.mark.parametrize(
    ("module", "share"),
    [(Sigmoid(), 0.36), (Tanh(), 0.55), (ReLU(), 0.5), (LeakyReLU(0.02), 0.0), (ELU(), 0.18)],
)
def test_share_of_saturated_inputs(module, share):
    """ACT-02 (5): |f'| < 0.01 on N(0, 25), to the two digits of the course notes' row."""
    saturated = normal_mean(lambda x: (module.derivative(x).abs() < 0.01).double(), deviation=5)
    assert saturated == pytest.approx(share, abs=0.006)


def test_dead_unit_never_recovers_and_a_leaky_one_does():
    """GRD-09: z = w x - 2 < 0 on all of [-1, 1]; the gradient of w and b is exactly 0."""
    x = torch.linspace(-1, 1, 21).unsqueeze(-1)
    for module, dead in ((ReLU(), True), (LeakyReLU(), False)):
        unit = Linear(1, 1)
        nn.init.constant_(unit.weight, 0.5)
        nn.init.constant_(unit.bias, -2.0)
        z = unit(x)
        module(z).sum().backward()
        assert (float(unit.bias.grad) == 0) is dead
        assert float(dead_unit_fraction(module.derivative(z))) == float(dead)
