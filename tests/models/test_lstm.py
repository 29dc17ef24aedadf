"""The long short-term memory network of the runner (LST-08)."""

import pytest
import torch
from torch import nn

from optlab.config import ConfigError
from optlab.init import he_normal_, initialize
from optlab.models.context import ModelContext
from optlab.models.lstm import build_lstm
from optlab.models.recurrent import RecurrentModel
from optlab.nn import LSTM, ReLU
from optlab.nn.dropout import Dropout


def context(input_shape=(6, 3), num_outputs=2, vocabulary=None, target_steps=None):
    return ModelContext(
        input_shape, num_outputs, ReLU, vocabulary=vocabulary, target_steps=target_steps
    )


def build(task=None, **options):
    module = build_lstm(task or context(), **options)
    initialize(module, he_normal_, 0)
    return module.double()


def numbers(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_equals_torch_with_a_readout(bidirectional):
    """One score per input: of the last step and, backwards, of the first."""
    model = build(hidden=5, layers=2, bidirectional=bidirectional)
    width = 10 if bidirectional else 5
    lstm = nn.LSTM(3, 5, 2, batch_first=True, bidirectional=bidirectional).double()
    readout = nn.Linear(width, 2).double()
    lstm.load_state_dict(model.recurrent.state_dict())
    readout.load_state_dict(model.output.state_dict())
    x = numbers(4, 6, 3)
    states, _ = lstm(x)
    ends = torch.cat([states[:, -1, :5], states[:, 0, 5:]], 1)
    # Other orders of the same sums in float64.
    close = {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(model(x), readout(ends), **close)
    model.target_steps = 3
    torch.testing.assert_close(model(x), readout(states[:, -3:]), **close)


def test_forget_gate_starts_open():
    """LST-06: the two biases of the gate add up to the option."""
    for options, wanted in (({}, 1.0), ({"forget_bias": 3.0}, 3.0)):
        recurrent = build(hidden=5, **options).recurrent
        total = (recurrent.bias_ih_l0 + recurrent.bias_hh_l0).detach()
        gates = torch.tensor([0.0, wanted, 0.0, 0.0], dtype=torch.float64)
        torch.testing.assert_close(total, gates.repeat_interleave(5))


@pytest.mark.parametrize("rule", ["orthogonal", "identity"])
def test_recurrent_weights_of_every_gate_start_by_their_rule(rule):
    weight = build(hidden=5, recurrent_init=rule).recurrent.weight_hh_l0.detach()
    for block in weight.chunk(4):
        eye = torch.eye(5, dtype=torch.float64)
        torch.testing.assert_close(block @ block.T, eye, rtol=0, atol=1e-5)  # drawn in float32
        assert torch.allclose(block, eye) == (rule == "identity")


def test_tokens_are_one_hot_inputs():
    tokens = torch.tensor([[0, 2, 1, 1], [2, 2, 0, 1]])
    model, numeric = build(context((4,), vocabulary=3)), build(context((4, 3)))
    one_hot = torch.eye(3, dtype=torch.float64)[tokens]
    torch.testing.assert_close(model(tokens), numeric(one_hot), rtol=0, atol=0)


def test_dropout_acts_between_layers_and_before_the_readout():
    """REG-09: rnn is the middle of the notes' band, 0.2 to 0.3."""
    model = build(layers=2, dropout="rnn")
    assert [p.rate for p in model.modules() if isinstance(p, Dropout)] == [0.25, 0.25]
    x = numbers(4, 6, 3)
    assert not torch.equal(model(x), model(x))
    model.eval()
    torch.testing.assert_close(model(x), model(x), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (context((3,)), r"model=lstm reads inputs of shape \(T, I\)"),
        (context(target_steps=7), "scores of the last 7 time steps, and there are 6"),
        (context(target_steps=0), r"target_steps must be in \[1, inf\), got 0"),
    ],
)
def test_tasks_that_do_not_fit_are_refused(task, message):
    with pytest.raises(ConfigError, match=message):
        build(task)


def test_a_direction_that_reads_what_is_asked_is_refused():
    """From the end, the next character is known before it is asked for."""
    task = context((6,), 3, vocabulary=3, target_steps=6)
    with pytest.raises(
        ConfigError, match=r"model\.bidirectional=true does not go with.*last 6 ste"
    ):
        build(task, bidirectional=True)
    model = build(task)
    tokens = torch.tensor([[0, 2, 1, 1, 2, 0]])
    other = tokens.clone()
    other[:, 4] = 1
    changed = (model(tokens) != model(other)).any(-1)[0]
    assert changed.tolist() == [False] * 4 + [True] * 2


def test_both_initial_states_are_learned():
    model = RecurrentModel(LSTM(3, 5, 2, batch_first=True), 2, learn_initial=True).double()
    lstm, readout = nn.LSTM(3, 5, 2, batch_first=True).double(), nn.Linear(5, 2).double()
    lstm.load_state_dict(model.recurrent.state_dict())
    readout.load_state_dict(model.output.state_dict())
    model.initial.data = numbers(20, seed=3)
    h, c = model.initial.view(2, 2, 1, 5).repeat(1, 1, 4, 1)
    x = numbers(4, 6, 3)
    wanted = readout(lstm(x, (h, c))[0][:, -1])
    # Other orders of the same sums in float64.
    torch.testing.assert_close(model(x), wanted, rtol=1e-12, atol=1e-12)
    model(x).square().sum().backward()
    assert model.initial.grad.all()
