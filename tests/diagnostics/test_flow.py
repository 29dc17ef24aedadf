"""The look through the layers that the training loop makes."""

import copy
import math

import pytest
import torch
from torch import nn

from optlab.diagnostics import GradientMonitor, gradient_flow
from optlab.diagnostics.flow import MOST_TAGS, evenly, evenly_spaced_rows, thinned
from optlab.models import Point
from optlab.models.mlp import MLP
from optlab.models.recurrent import RecurrentModel
from optlab.nn import BatchNorm1d, Sigmoid
from optlab.nn.recurrent.rnn import RNN

X = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
Y = torch.zeros(16, 3)


def mse(output, target):
    return (output - target).square().mean()


def test_it_is_what_a_monitor_measures_in_a_pass():
    module = MLP(4, [5, 6], 3, Sigmoid, norm=BatchNorm1d)
    state = copy.deepcopy(module.state_dict())
    with GradientMonitor(module) as monitor:
        mse(module(X), Y).backward()
    expected = {tag: value.item() for tag, value in monitor.values().items()}
    module.load_state_dict(state)
    found = gradient_flow(module, mse, X, Y)
    assert found == {tag: expected[tag] for tag in found}
    assert {tag.partition("/")[0] for tag in found} == {
        *("preactivation_gradient", "gradient_ratio", "saturated", "symmetric"),
        *("batchnorm_drift", "nonfinite"),
    }


@pytest.mark.parametrize("requires_grad", [True, False])
def test_module_gradients_data_and_draws_stay_bit_for_bit(requires_grad):
    module = nn.Sequential(MLP(4, [5, 6], 3, norm=BatchNorm1d, dropout=0.5), nn.Dropout())
    module[0].hidden[0].linear.weight.requires_grad_(requires_grad)
    mse(module(X), Y).backward()
    state = {name: value.clone() for name, value in module.state_dict().items()}
    grads = [(p.grad, None if p.grad is None else p.grad.clone()) for p in module.parameters()]
    draws, x = torch.get_rng_state(), X.clone()
    gradient_flow(module, mse, X, Y)
    assert all(torch.equal(state[name], value) for name, value in module.state_dict().items())
    for p, (grad, numbers) in zip(module.parameters(), grads, strict=True):
        assert p.grad is grad
        assert grad is None or torch.equal(grad, numbers)
    assert torch.equal(torch.get_rng_state(), draws)
    assert torch.equal(X, x)
    assert not X.requires_grad


def test_the_next_dropout_masks_are_those_that_are_measured():
    module = MLP(4, [50], 3, dropout=0.5)
    assert gradient_flow(module, mse, X, Y) == gradient_flow(module, mse, X, Y)
    before = gradient_flow(module, mse, X, Y)
    module(X)
    assert gradient_flow(module, mse, X, Y) != before


@pytest.mark.parametrize("vocabulary", [None, 4])
def test_the_reach_in_time_of_sequences_and_of_tokens(vocabulary):
    model = RecurrentModel(RNN(4, 5, batch_first=True), 3, vocabulary=vocabulary)
    stream = torch.Generator().manual_seed(0)
    x = torch.randn(16, 7, 4, generator=stream)
    found = gradient_flow(model, mse, x.argmax(-1) if vocabulary else x, Y)
    assert [tag for tag in found if "lag" in tag] == [f"lag_gradient/{k}" for k in (0, 1, 2, 5)]
    assert {"preactivation_gradient/recurrent", "preactivation_gradient/output"} <= found.keys()
    assert not x.requires_grad


def test_the_first_that_is_not_finite_has_a_tag():
    module = MLP(4, [5, 6], 3, Sigmoid)
    assert gradient_flow(module, mse, X, Y)["nonfinite"] == 0.0
    with torch.no_grad():
        module.hidden[1].linear.bias.fill_(math.nan)
    found = gradient_flow(module, mse, X, Y)
    assert found["nonfinite"] > 0
    assert [tag for tag in found if tag.startswith("nonfinite/")] == ["nonfinite/hidden.1.linear"]


def test_a_frozen_network_has_saturation_and_no_gradients():
    found = gradient_flow(MLP(4, [5], 3, Sigmoid).requires_grad_(False), mse, X, Y)
    assert {tag.partition("/")[0] for tag in found} == {"saturated", "nonfinite"}


def test_without_layers_nothing_flows():
    point = Point((1.0, 2.0))
    assert gradient_flow(point, mse, torch.zeros(2, 1), torch.zeros(2, 2)) == {}


def test_a_deep_network_has_no_more_than_so_many_tags_of_a_kind():
    module = MLP(4, [3] * 30, 3, Sigmoid)
    found = gradient_flow(module, mse, X, Y)
    layers = [tag for tag in found if tag.startswith("preactivation_gradient/")]
    assert len(layers) == MOST_TAGS
    assert layers[0].endswith("/hidden.0.linear")
    assert layers[-1].endswith("/output")
    assert len(found) <= 3 * MOST_TAGS + 2


def test_few_names_are_kept_and_many_are_taken_evenly():
    assert evenly("abc", 3) == ["a", "b", "c"]
    assert evenly(list(range(101)), 6) == [0, 20, 40, 60, 80, 100]


def test_kinds_are_thinned_each_for_itself_and_stay_in_order():
    values = {"a/0": 0, "b/0": 1, "a/1": 2, "a/2": 3, "b/1": 4}
    assert list(thinned(values, most=2)) == ["a/0", "b/0", "a/2", "b/1"]


def test_rows_are_spread_over_the_set():
    cpu = torch.device("cpu")
    assert evenly_spaced_rows(10, cpu, most=5).tolist() == [0, 2, 4, 6, 8]
    assert evenly_spaced_rows(3, cpu, most=5).tolist() == [0, 1, 2]
    assert evenly_spaced_rows(7, cpu, most=3).tolist() == [0, 2, 4]
