"""What the course notes say of gradients that vanish and explode (GRD-02 to GRD-06, LST-05)."""

import math

import numpy as np
import pytest
import torch

from optlab import registry
from optlab.diagnostics import GradientMonitor, gradient_by_lag
from optlab.diagnostics.preactivation_gradients import PreactivationGradients
from optlab.init import initialize
from optlab.models.mlp import MLP
from optlab.models.recurrent import RecurrentModel
from optlab.nn import BatchNorm1d, ReLU, Sigmoid, Tanh
from optlab.nn.recurrent.lstm import LSTM
from optlab.nn.recurrent.rnn import RNN

ROWS = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))


def gradient_ratio(depth, activation, init, seed, norm=None):
    """Return the norm ratio of the first to the last hidden layer's weight gradient."""
    module = MLP(64, [64] * depth, 10, activation, norm)
    initialize(module, registry.initializers.create(init, {}, "init"), seed)
    with GradientMonitor(module) as monitor:
        torch.logsumexp(module(ROWS), 1).mean().backward()
    values = monitor.values()
    first, last = (f"gradient_norm/hidden.{i}.linear.weight" for i in (0, depth - 1))
    return (values[first] / values[last]).item()


@pytest.mark.parametrize("seed", range(3))
def test_gradients_of_a_sigmoid_network_fall_by_a_factor_per_layer(seed):
    """GRD-03: the logarithm falls linearly with depth, by a factor of 1/4 or less per layer."""
    depths = [2, 5, 10, 20]
    ratios = [gradient_ratio(depth, Sigmoid, "xavier_normal", seed) for depth in depths]
    slope, _ = np.polyfit(depths, np.log(ratios), 1)
    correlation = np.corrcoef(depths, np.log(ratios))[0, 1]
    assert ratios[-1] < 1e-10
    assert slope < math.log(1 / 4) + 0.1  # the layers' gain, about 1, fluctuates
    assert correlation < -0.999


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("activation", "init"), [(ReLU, "he_normal"), (Tanh, "xavier_normal")])
def test_gradients_of_relu_and_tanh_do_not_vanish_with_their_initializers(activation, init, seed):
    assert 0.1 < gradient_ratio(20, activation, init, seed) < 10


def test_batch_normalization_keeps_the_gradients_of_a_sigmoid_network():
    """GRD-05, NRM-10: from 1e-12 to about 1."""
    assert 0.1 < gradient_ratio(20, Sigmoid, "xavier_normal", 0, BatchNorm1d) < 10


def chain(weight, bias=0.0, length=3):
    """Return a chain of single sigmoid units in float64: a network of one unit per layer."""
    module = MLP(1, [1] * length, 1, Sigmoid).double()
    with torch.no_grad():
        for p in module.parameters():
            p.fill_(weight if p.ndim == 2 else bias)
    return module


def test_the_gradient_of_the_first_weight_is_the_product_of_the_chain():
    """GRD-02: dL/dw1 = dL/do * w4 s'(z3) w3 s'(z2) w2 s'(z1) x, here with L = o."""
    w, b, x = 0.7, -0.2, 1.3
    module = chain(w, b)
    with GradientMonitor(module) as monitor:
        module(torch.tensor([[x]], dtype=torch.float64)).sum().backward()
    a, product = x, 1.0
    for _ in range(3):
        a = 1 / (1 + math.exp(-(w * a + b)))
        product *= a * (1 - a) * w  # s'(z) of this layer, and the weight of the next
    found = monitor.values()
    assert found["preactivation_gradient/hidden.0.linear"].item() == pytest.approx(product)
    assert found["gradient_norm/hidden.0.linear.weight"].item() == pytest.approx(product * x)


def test_large_weights_make_gradients_explode():
    """GRD-06: s'(0) * 500 = 125 per layer, 125^n over n layers."""
    n = 5
    module = chain(500.0, length=n)
    with torch.no_grad():
        for layer in module.hidden[1:]:
            layer.linear.bias.fill_(-250.0)  # z = 500 * s(0) - 250 = 0 again
    x = torch.zeros(1, 1, dtype=torch.float64)
    with GradientMonitor(module, (PreactivationGradients(),)) as monitor:
        module(x).sum().backward()
    found = [value.item() for value in monitor.values().values()]
    assert found == pytest.approx([125.0 ** (n - i) for i in range(n + 1)])


def test_an_exploded_gradient_makes_an_update_much_larger_than_the_weights():
    module = chain(500.0, length=3)
    with torch.no_grad():
        for layer in module.hidden[1:]:
            layer.linear.bias.fill_(-250.0)
    x = torch.full((1, 1), 1e-9, dtype=torch.float64)
    module(x).sum().backward()
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    with torch.no_grad():
        for p in module.parameters():
            p -= p.grad  # gradient descent with a rate of 1
    ratio = {n: (p - before[n]).norm() / before[n].norm() for n, p in module.named_parameters()}
    assert ratio["hidden.1.linear.weight"] > 10
    assert ratio["hidden.1.linear.bias"] > 10


@pytest.mark.parametrize("seed", range(3))
def test_an_lstm_carries_gradients_further_back_and_an_open_forget_gate_further_still(seed):
    """RNN-13 and LST-05: of a plain network nothing is left at lag 50."""
    x = torch.randn(32, 60, 8, generator=torch.Generator().manual_seed(seed))

    def reach(layer):
        module = RecurrentModel(layer, 1)
        initialize(module, registry.initializers.create("uniform_fan_in", {}, "init"), seed)
        norms = gradient_by_lag(module, x, lambda output: output.square().mean())
        return (norms / norms[0]).tolist()

    options = {"batch_first": True, "recurrent_init": "same"}
    rnn, lstm = reach(RNN(8, 32, **options)), reach(LSTM(8, 32, **options))
    remembering = reach(LSTM(8, 32, forget_bias=1.0, **options))
    for lag in (20, 50):
        assert 10 * rnn[lag] < lstm[lag] < remembering[lag] / 10
    assert rnn[50] < 1e-15
