"""Saturated activations and gates, and units that no row wakes."""

import math

import pytest
import torch
from torch import nn

from optlab.diagnostics import GradientMonitor, dead_units
from optlab.diagnostics.dead_units import DeadUnits
from optlab.diagnostics.gates import GateSaturation
from optlab.diagnostics.saturation import Saturation
from optlab.models.mlp import MLP
from optlab.models.recurrent import RecurrentModel
from optlab.nn import BatchNorm1d, LeakyReLU, Linear, ReLU, Sigmoid, Tanh
from optlab.nn.metrics import dead_unit_fraction
from optlab.nn.recurrent.lstm import LSTM


def measured(quantity, module, *chunks):
    with GradientMonitor(module, (quantity,)) as monitor:
        for x in chunks:
            module(x)
    return {tag: value.item() for tag, value in monitor.values().items()}


@pytest.mark.parametrize(
    ("activation", "edge"),
    [
        # sigma (1 - sigma) = 0.01 and 1 - tanh^2 = 0.01, solved for z.
        (Sigmoid, math.log((1 + math.sqrt(0.96)) / (1 - math.sqrt(0.96)))),
        (Tanh, math.atanh(math.sqrt(0.99))),
    ],
)
def test_an_activation_is_saturated_beyond_its_edge(activation, edge):
    z = torch.tensor([[-edge - 0.01, -edge + 0.01, 0.0, edge - 0.01, edge + 0.01]])
    share = measured(Saturation(), activation(), z)[f"saturated/{activation.__name__}"]
    assert share == pytest.approx(0.4)


def test_a_negative_slope_is_a_slope():
    """That of SiLU is -0.09 at -2: steep enough to pass a gradient on."""
    share = measured(Saturation(), nn.SiLU(), torch.tensor([[-2.0, -20.0]]))
    assert share == {"saturated/SiLU": 0.5}


def test_an_input_may_be_given_by_name():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.activation = Tanh()

        def forward(self, z):
            return self.activation(x=z)

    assert measured(Saturation(), Named(), torch.zeros(1, 1)) == {"saturated/activation": 0.0}


def test_saturation_is_a_share_of_all_elements_and_no_mean_of_chunks():
    chunks = torch.full((9, 1), 50.0), torch.zeros(1, 1)
    assert measured(Saturation(), Sigmoid(), *chunks) == {"saturated/Sigmoid": 0.9}


def test_one_neuron_with_a_large_negative_bias_is_dead_and_its_gradient_exactly_0():
    """GRD-09: b = -2 and x in [-1, 1] keep w x + b below 0."""
    module = nn.Sequential(Linear(1, 1), ReLU())
    with torch.no_grad():
        module[0].weight.fill_(1.0)
        module[0].bias.fill_(-2.0)
    x = torch.linspace(-1, 1, 41)[:, None]
    (module(x) - 1).square().mean().backward()
    assert [p.grad.item() for p in module.parameters()] == [0.0, 0.0]
    assert dead_units(module, [x]) == {"dead/1": 1.0}


def test_a_unit_that_wakes_in_one_chunk_is_alive():
    """Each chunk has half its units dead, the whole has none."""
    one, other = torch.tensor([[1.0, -1.0]]), torch.tensor([[-1.0, 1.0]])
    assert measured(DeadUnits(), ReLU(), one) == {"dead/ReLU": 0.5}
    assert measured(DeadUnits(), ReLU(), one, other) == {"dead/ReLU": 0.0}


def test_dead_units_of_chunks_are_those_of_all_rows_together():
    z = torch.randn(50, 40, generator=torch.Generator().manual_seed(3)) - 2
    expected = dead_unit_fraction(ReLU().derivative(z)).item()
    assert 0 < expected < 1
    assert measured(DeadUnits(), ReLU(), *z.split(7)) == {"dead/ReLU": pytest.approx(expected)}


def test_a_leaky_unit_with_negative_outputs_only_is_alive():
    assert measured(DeadUnits(), LeakyReLU(), -torch.ones(3, 2)) == {"dead/LeakyReLU": 0.0}


def test_a_channel_is_dead_when_it_is_at_every_position():
    z = -torch.ones(2, 3, 4, 4)
    z[1, 0, 2, 3] = 1.0
    assert measured(DeadUnits(), nn.ReLU(), z) == {"dead/ReLU": pytest.approx(2 / 3)}


def test_a_unit_over_time_is_dead_when_it_is_at_every_step():
    z = -torch.ones(2, 5, 4)
    z[0, 3, 1] = 1.0
    assert measured(DeadUnits(), ReLU(), z) == {"dead/ReLU": 0.75}


def test_a_unit_without_numbers_is_not_called_dead():
    assert measured(DeadUnits(), Tanh(), torch.full((2, 1), math.nan)) == {"dead/Tanh": 0.0}


def test_a_set_is_looked_at_in_evaluation_mode_and_left_as_it_was():
    module = MLP(4, [6, 6], 2, norm=BatchNorm1d, dropout=0.5).train()
    module.hidden[1].eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    modes = [part.training for part in module.modules()]
    x = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    found = dead_units(module, x.split(1))  # a batch of one row has no variance to train on
    assert list(found) == ["dead/hidden.0.activation", "dead/hidden.1.activation"]
    assert [part.training for part in module.modules()] == modes
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_a_model_without_activations_is_not_run():
    class Never(nn.Module):
        def forward(self, x):
            raise AssertionError

    assert dead_units(Never(), [torch.ones(1, 1)]) == {}


def lstm_with_gates(i, f, o, **options):
    """Return an LSTM whose gates have these scores z, whatever it reads."""
    layer = LSTM(2, 3, **options)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.zero_()
            if name.startswith("bias_ih"):
                parameter.copy_(torch.tensor([i, f, 0.0, o]).repeat_interleave(3))
    return layer


@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"batch_first": True}])
def test_a_gate_is_saturated_near_0_and_near_1(options):
    """sigmoid(+-4.595) is 0.01 from an end; the tanh of g, 0 here, is no gate."""
    module = lstm_with_gates(i=4.7, f=-4.7, o=4.5, **options)
    found = measured(GateSaturation(), module, torch.randn(5, 4, 2))
    assert found == {f"gate_saturated/LSTM.{g}": v for g, v in zip("ifo", (1, 1, 0), strict=True)}


def test_gates_are_pooled_over_calls_units_and_steps():
    module = lstm_with_gates(0.0, 0.0, 0.0)
    with torch.no_grad():
        module.weight_ih_l0[0, 0] = 1.0  # unit 0 of gate i reads the first feature
    x = torch.zeros(4, 1, 2)
    x[:3, 0, 0] = torch.tensor([10.0, -10.0, 4.0])
    found = measured(GateSaturation(), module, x, torch.zeros(6, 1, 2))
    # 2 of 3 units by 4 + 6 steps.
    assert found["gate_saturated/LSTM.i"] == pytest.approx(2 / 30)
    assert found["gate_saturated/LSTM.f"] == 0.0


def test_gates_past_the_ends_of_sequences_are_not_counted():
    module, x = lstm_with_gates(9.0, 9.0, 9.0), torch.zeros(4, 2, 2)
    lengths = torch.tensor([4, 2])
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths)
    with GradientMonitor(module, (GateSaturation(),)) as monitor:
        module(x, None, lengths)
        module(x, lengths=lengths)
        module(packed)
    assert monitor.values() == {}


def test_gates_of_a_model_are_those_of_its_layer():
    module = RecurrentModel(lstm_with_gates(9.0, 0.0, 0.0, batch_first=True), 1)
    found = measured(GateSaturation(), module, torch.zeros(2, 4, 2))
    expected = {"recurrent.i": 1.0, "recurrent.f": 0.0, "recurrent.o": 0.0}
    assert found == {f"gate_saturated/{name}": value for name, value in expected.items()}


@pytest.mark.parametrize("times", [1, 2])
def test_monitors_may_lie_inside_each_other(times):
    module, x = LSTM(3, 4, num_layers=2, dropout=0.5), torch.ones(5, 2, 3)
    module.dropouts[0].eval()
    alone = measured(GateSaturation(), module, x)
    quantity = GateSaturation()
    with GradientMonitor(module, (quantity,)):
        for _ in range(times):
            assert measured(GateSaturation(), module, x) == alone
    assert not module.dropouts[0].training
