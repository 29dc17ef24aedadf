"""Dropout: inverted scaling, masks by (run, layer, update), stacks (REG-07, REG-09, E28)."""

import math

import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from optlab.config import ConfigError
from optlab.nn import Dropout, seed_dropout
from optlab.nn.dropout import COMMON_RATES
from optlab.seeding import stream_key


def layer(rate=0.3, seed=0):
    module = Dropout(rate)
    seed_dropout(module, seed)
    return module


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_keeps_the_right_share_and_the_mean(rate):
    """REG-07; five standard errors of a share."""
    num = 200_000
    out = layer(rate)(torch.ones(num))
    bound = 5 * math.sqrt(rate * (1 - rate) / num)
    assert float((out == 0).float().mean()) == pytest.approx(rate, abs=bound)
    assert float(out.mean()) == pytest.approx(1.0, abs=bound / (1 - rate))
    torch.testing.assert_close(out.unique(), torch.tensor([0.0, 1 / (1 - rate)]))


def test_rate_is_the_drop_probability_of_torch_and_not_the_notes_keep_probability():
    """E28."""
    x = torch.ones(100_000)
    torch.manual_seed(0)
    dropped = float((nn.Dropout(0.2)(x) == 0).float().mean())
    assert float((layer(0.2)(x) == 0).float().mean()) == pytest.approx(dropped, abs=0.01)


def test_evaluation_is_the_identity_and_counts_nothing():
    module, x = layer().eval(), torch.ones(4)
    assert module(x) is x
    assert int(module.count) == 0


def test_rate_zero_is_the_identity():
    x = torch.ones(4)
    assert Dropout(0.0)(x) is x


def test_every_update_has_its_own_mask():
    module, x = layer(0.5), torch.ones(64)
    assert not torch.equal(module(x), module(x))
    assert int(module.count) == 2


def test_mask_depends_on_seed_and_layer_name():
    x = torch.ones(64)
    net = nn.ModuleDict({"a": Dropout(0.5), "b": Dropout(0.5)})
    seed_dropout(net, 3)
    assert int(net["a"].key) == stream_key(3, "dropout", "a")
    first = net["a"](x)
    assert not torch.equal(first, net["b"](x))
    seed_dropout(net, 4)
    assert not torch.equal(first, net["a"](x))
    seed_dropout(net, 3)
    assert torch.equal(first, net["a"](x))


def test_global_generator_is_left_alone():
    before = torch.get_rng_state()
    layer(0.5)(torch.ones(16))
    assert torch.equal(torch.get_rng_state(), before)


def test_checkpoint_goes_on_with_the_next_mask():
    module, x = layer(0.5), torch.ones(64)
    module(x)
    resumed = Dropout(0.5)
    resumed.load_state_dict(module.state_dict())
    assert torch.equal(resumed(x), module(x))


def test_gradient_passes_through_survivors_only_and_scaled():
    x = torch.ones(64, dtype=torch.float64).requires_grad_()
    out = layer(0.25)(x)
    out.sum().backward()
    assert out.dtype == torch.float64
    torch.testing.assert_close(x.grad, out.detach())


@pytest.mark.parametrize("runs", [1, 3])
def test_stack_drops_what_each_run_drops_alone(runs):
    members = [layer(0.5, seed) for seed in range(runs)]
    parameters, buffers = stack_module_state(members)
    x = torch.ones(runs, 8, 5)

    def call(b, rows):
        return functional_call(members[0], (parameters, b), (rows,))

    for _ in range(3):
        stacked = vmap(call)(buffers, x)
        for number, member in enumerate(members):
            assert torch.equal(stacked[number], member(x[number]))
    assert buffers["count"].tolist() == [3] * runs


def test_presets_are_the_middle_of_the_notes_bands():
    """REG-09."""
    assert {kind: Dropout(kind).rate for kind in COMMON_RATES} == pytest.approx(
        {"ann": 0.3, "cnn": 0.45, "rnn": 0.25}
    )


@pytest.mark.parametrize("rate", [1.0, -0.1, "mlp", True])
def test_rate_out_of_range_is_refused(rate):
    with pytest.raises(ConfigError, match=r"rate must be .*\(dropout.rate\)"):
        Dropout(rate)


def test_repr_shows_the_rate():
    assert repr(Dropout(0.5)) == "Dropout(rate=0.5)"
