"""Share of units that are copies of another one, against a comparison of every pair."""

import pytest
import torch
from torch import nn

from optlab.diagnostics import GradientMonitor
from optlab.diagnostics.symmetric_units import TOLERANCE, SymmetricUnits
from optlab.models.mlp import MLP
from optlab.nn import BatchNorm1d
from optlab.nn.recurrent.lstm import LSTM

X = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))


def shares(module, x, loss=torch.sum):
    with GradientMonitor(module, (SymmetricUnits(),)) as monitor:
        found = module(x)
        loss(found[0] if isinstance(found, tuple) else found).backward()
    return {tag: float(value) for tag, value in monitor.values().items()}


def by_pairs(*tensors):
    """The twin: units (H, D) of which all differences are small beside their sizes."""
    alike = torch.ones(len(tensors[0]), len(tensors[0]), dtype=torch.bool)
    for units in (t.detach().double().flatten(1) for t in tensors):
        size = units.norm() / len(units) ** 0.5
        alike &= torch.cdist(units, units, compute_mode="donot_use_mm_for_euclid_dist") <= (
            TOLERANCE * size / 10
        )
    return float((alike.sum(1) > 1).double().mean())


def layer(weight, bias=None):
    made = nn.Linear(weight.shape[1], len(weight), bias=bias is not None)
    made.weight = nn.Parameter(weight.clone())
    if bias is not None:
        made.bias = nn.Parameter(bias.clone())
    return made


def weights(num_units, *copies):
    drawn = torch.randn(num_units, 4, generator=torch.Generator().manual_seed(1))
    for to, source in copies:
        drawn[to] = drawn[source]
    return drawn


@pytest.mark.parametrize(
    "copies", [(), ((3, 0),), ((3, 0), (4, 0)), ((1, 0), (3, 2)), tuple((i, 0) for i in range(8))]
)
def test_copies_are_counted_with_what_they_are_copies_of(copies):
    first = layer(weights(8, *copies))
    module = nn.Sequential(first, nn.Tanh())
    found = shares(module, X)
    assert found["symmetric/0"] == by_pairs(first.weight, first.weight.grad)


def test_units_of_other_gradients_are_no_copies():
    first, second = layer(weights(6, (3, 0))), layer(weights(3)[:, [0, 1, 2, 3, 0, 1]])
    found = shares(nn.Sequential(first, nn.Tanh(), second, nn.Tanh()), X)
    assert by_pairs(first.weight) == pytest.approx(2 / 6)
    assert found == {"symmetric/0": 0.0, "symmetric/2": 0.0}
    assert by_pairs(first.weight, first.weight.grad) == 0.0


def test_units_of_other_biases_are_no_copies():
    found = shares(nn.Sequential(layer(weights(4, (3, 0)), torch.arange(4.0)), nn.Tanh()), X)
    assert found == {"symmetric/0": 0.0}


@pytest.mark.parametrize(("distance", "share"), [(1e-7, 1.0), (1e-2, 0.0)])
def test_rounding_makes_no_difference(distance, share):
    weight = torch.tensor([[1.0, 2.0, 0.0, 1.0], [1.0 + distance, 2.0, 0.0, 1.0]])
    assert shares(nn.Sequential(layer(weight)), X) == {"symmetric/0": share}


@pytest.mark.parametrize("width", [2, 64, 1000])
def test_zeros_and_constants_are_all_alike_and_random_units_are_not(width):
    torch.manual_seed(0)
    module = MLP(4, [width], 3, norm=BatchNorm1d)
    found = shares(module, X, lambda z: z.square().sum())
    assert found == {"symmetric/hidden.0.linear": 0.0, "symmetric/output": 0.0}
    for number in (0.0, 0.5):
        with torch.no_grad():
            module.hidden[0].linear.weight.fill_(number)
            module.output.weight.fill_(number)
        module.zero_grad()
        found = shares(module, X, lambda z: (z - torch.arange(3)).square().sum())
        assert found == {"symmetric/hidden.0.linear": 1.0, "symmetric/output": 0.0}


def test_filters_of_a_convolution_are_units():
    torch.manual_seed(0)
    convolution = nn.Conv2d(1, 3, 3)
    with torch.no_grad():
        convolution.weight[2] = convolution.weight[0]
        convolution.bias[2] = convolution.bias[0]
    found = shares(nn.Sequential(convolution), torch.randn(2, 1, 5, 5))
    assert found == {"symmetric/0": pytest.approx(2 / 3)}


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, LSTM])
def test_hidden_units_are_compared_with_all_their_gates(kind):
    torch.manual_seed(0)
    module = nn.Sequential(kind(4, 6, batch_first=True))
    x = torch.randn(3, 5, 4)
    assert shares(module, x) == {"symmetric/0": 0.0}
    module.zero_grad()
    with torch.no_grad():
        for p in module.parameters():
            p.fill_(0.25)
    assert shares(module, x) == {"symmetric/0": 1.0}


@pytest.mark.parametrize("module", [nn.Linear(4, 1), nn.BatchNorm1d(4), nn.Tanh()])
def test_what_has_no_two_units_has_no_share(module):
    assert shares(nn.Sequential(module, nn.Linear(module(X).shape[1], 1)), X) == {}


def test_tokens_are_no_units():
    module = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 1))
    assert shares(module, torch.tensor([0, 1])) == {}


def test_without_a_pass_back_weights_alone_are_compared():
    module = nn.Sequential(layer(weights(4, (3, 0))))
    with GradientMonitor(module, (SymmetricUnits(),)) as monitor:
        module(X)
    assert {tag: float(v) for tag, v in monitor.values().items()} == {"symmetric/0": 0.5}
