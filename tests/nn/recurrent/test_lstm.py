"""What is special to the LSTM: its gates (LST-01 to LST-04), its biases, its one step."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from optlab.config import ConfigError
from optlab.init import initialize, xavier_normal_
from optlab.nn.recurrent import LSTM, LSTMCell, lstm

OPEN, SHUT = 1000.0, -1000.0  # sigmoid of these is exactly 1 and 0


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def held(module, **sums):
    """Fix the sums of some gates: no weights, only a bias."""
    blocks = {gate: slice(5 * k, 5 * k + 5) for k, gate in enumerate("ifgo")}
    for gate, value in sums.items():
        for name, parameter in module.named_parameters():
            parameter.data[blocks[gate]] = value if name.startswith("bias_ih") else 0.0
    return module


def first_states(seed=1):
    return numbers(1, 2, 5, seed=seed), numbers(1, 2, 5, seed=seed + 1)


def test_open_forget_gate_keeps_the_cell_exactly():
    """LST-02: f = 1 and i = 0, over 1000 steps of any input."""
    module = held(LSTM(3, 5), i=SHUT, f=OPEN)
    h, c = first_states()
    _, (_, last) = module(numbers(1000, 2, 3), (h, c))
    assert torch.equal(last, c)


def test_open_forget_gate_passes_the_gradient_of_the_cell_exactly():
    """LST-05, at its best: dL/dc(0) = dL/dc(1000)."""
    module = held(LSTM(3, 5), i=SHUT, f=OPEN)
    h, c = first_states()
    c.requires_grad_()
    _, (_, last) = module(numbers(1000, 2, 3), (h, c))
    into = numbers(1, 2, 5, seed=9)
    (gradient,) = torch.autograd.grad(last, c, into)
    assert torch.equal(gradient, into)


def test_shut_forget_gate_erases_the_cell():
    """LST-02: with f = 0 nothing of c(0) is left after one step."""
    module = held(LSTM(3, 5), f=SHUT)
    h, c = first_states()
    x = numbers(1, 2, 3)
    assert torch.equal(module(x, (h, c))[1][1], module(x, (h, 50 * c))[1][1])


def test_shut_input_gate_keeps_the_input_out_of_the_cell():
    """LST-03: i = 0, with f a number between 0 and 1 that depends on nothing."""
    module = held(LSTM(3, 5), i=SHUT, f=0.3)
    first = first_states()
    _, (_, one) = module(numbers(6, 2, 3), first)
    _, (_, other) = module(numbers(6, 2, 3, seed=5), first)
    assert torch.equal(one, other)


def test_shut_output_gate_hides_the_cell_and_leaves_it_alone():
    """LST-04: o = 0. In one step, since later steps read h."""
    module = LSTM(3, 5)
    x, first = numbers(1, 2, 3), first_states()
    _, (_, wanted) = module(x, first)
    output, (h, c) = held(module, o=SHUT)(x, first)
    assert not output.any()
    assert not h.any()
    assert torch.equal(c, wanted)


def test_gates_are_i_f_g_o_as_in_the_equations():
    """LST-01, written out for one unit and one input."""
    module, values = LSTM(1, 1), torch.arange(1.0, 17.0).view(4, 4) / 10
    for parameter, row in zip(module.parameters(), values, strict=True):
        parameter.data = row.clone().view_as(parameter)
    h, c = torch.tensor([[0.5]]), torch.tensor([[-2.0]])
    output, (_, cell) = module(torch.tensor([[3.0]]), (h, c))
    i, f, g, o = 3 * values[0] + 0.5 * values[1] + values[2] + values[3]
    wanted = f.sigmoid() * -2.0 + i.sigmoid() * g.tanh()
    torch.testing.assert_close(cell.squeeze(), wanted)
    torch.testing.assert_close(output.squeeze(), o.sigmoid() * wanted.tanh())


@pytest.mark.parametrize("make", [LSTM, LSTMCell])
@pytest.mark.parametrize("value", [None, 0.0, 2.5])
def test_forget_bias_is_the_sum_of_both_biases_of_f(make, value):
    module = make(3, 5, forget_bias=value)
    initialize(module, xavier_normal_, seed=1)
    ih, hh = (p.detach() for name, p in module.named_parameters() if name.startswith("bias"))
    assert torch.equal((ih + hh)[5:10], torch.full((5,), value or 0.0))
    assert not hh.any()
    assert not ih[:5].any()
    assert not ih[10:].any()


def test_forget_bias_stands_in_every_layer_and_direction():
    module = LSTM(3, 5, num_layers=2, bidirectional=True, forget_bias=1.0)
    firsts = [p for name, p in module.named_parameters() if name.startswith("bias_ih")]
    assert len(firsts) == 4
    assert all((p[5:10] == 1).all() for p in firsts)


@pytest.mark.parametrize("make", [LSTM, LSTMCell])
def test_forget_bias_without_a_bias_is_refused(make):
    with pytest.raises(ConfigError, match="needs a bias to stand in"):
        make(3, 5, bias=False, forget_bias=1.0)


@pytest.mark.parametrize("make", [lambda h: h, lambda h: torch.stack([h, h])])
def test_a_lone_tensor_in_place_of_both_states_is_refused(make):
    message = r"hx must be the tuple \(h0, c0\) of tensors, got one tensor"
    with pytest.raises(ConfigError, match=message):
        LSTM(3, 5)(torch.zeros(4, 2, 3), make(torch.zeros(1, 2, 5)))


@pytest.mark.parametrize("gradients", [True, False])
def test_gates_are_kept_only_where_a_gradient_may_be_asked_for(monkeypatch, gradients):
    kept = []

    def watched(*arguments):
        results = torch.ops.optlab.lstm(*arguments)
        kept.extend(results[3:])
        return results[:3]

    monkeypatch.setattr(lstm, "lstm_direction", watched)
    with torch.set_grad_enabled(gradients):
        LSTM(3, 5)(torch.zeros(4, 2, 3))
    sizes = [4 * 2 * 4 * 5, 4 * 2 * 5] if gradients else [0, 0]
    assert [tensor.numel() for tensor in kept] == sizes


def test_projections_are_refused():
    with pytest.raises(ConfigError, match="proj_size must be 0, got 2"):
        LSTM(3, 5, proj_size=2)


def test_gradient_of_h_reaches_further_with_a_forget_bias():
    """LST-05: the size of dL/dx(0) after 20 steps, by two powers of ten."""
    sizes = []
    for bias in (0.0, 3.0):
        module = LSTM(3, 20, forget_bias=bias)
        x = numbers(21, 4, 3).requires_grad_()
        (gradient,) = torch.autograd.grad(module(x)[0][-1].sum(), x)
        sizes.append(float(gradient[0].norm()))
    assert sizes[1] > 100 * sizes[0]


def test_gate_activities_build_the_cell_and_the_output():
    """c(t) = f c(t-1) + i g and h(t) = o tanh(c(t)), summed up from the gates alone."""
    module = LSTM(3, 5).double()
    x, first = numbers(6, 2, 3).double(), [s.double() for s in first_states()]
    i, f, g, o = module.gate_activities(x, first)
    output, (_, last) = module(x, first)
    c = first[1]
    for t in range(6):
        c = f[:, t] * c + i[:, t] * g[:, t]
        torch.testing.assert_close(o[0, t] * c[0].tanh(), output[t])
    torch.testing.assert_close(c, last)


def test_gate_activities_of_layers_and_directions_with_lengths():
    module = LSTM(3, 5, num_layers=2, bidirectional=True, batch_first=True)
    x, lengths = numbers(2, 6, 3), torch.tensor([4, 6])
    padded = module.gate_activities(x, None, lengths)
    alone = module.gate_activities(x[:1, :4])
    for gate, short in zip(padded, alone, strict=True):
        assert gate.shape == (4, 6, 2, 5)
        assert not gate[:, 4:, 0].any()
        torch.testing.assert_close(gate[:, :4, :1], short)


def test_gate_activities_change_nothing_in_the_module():
    module = LSTM(3, 5, num_layers=2, dropout=0.5)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    gates = module.gate_activities(numbers(4, 2, 3))
    assert module.training
    assert not gates.f.requires_grad
    torch.testing.assert_close(module.state_dict(), before, rtol=0, atol=0)


def test_gate_activities_can_be_asked_for_by_a_hook():
    module, seen = LSTM(3, 5), []
    module.register_forward_pre_hook(
        lambda layer, given: seen.append(layer.gate_activities(*given))
    )
    module(numbers(4, 2, 3))
    assert len(seen) == 1


def test_gate_activities_of_a_packed_batch_are_refused():
    packed = pack_padded_sequence(torch.zeros(4, 2, 3), torch.tensor([4, 2]))
    with pytest.raises(ConfigError, match="takes a padded batch"):
        LSTM(3, 5).gate_activities(packed)


def test_gate_activities_saturate_with_the_bias():
    gates = held(LSTM(3, 5), f=OPEN, i=SHUT).gate_activities(numbers(4, 2, 3))
    assert (gates.f == 1).all()
    assert (gates.i == 0).all()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch", [(), (4,)])
def test_cell_equals_torchs(bias, batch):
    own, other = LSTMCell(3, 5, bias=bias).double(), nn.LSTMCell(3, 5, bias=bias).double()
    own.load_state_dict(other.state_dict())
    x = numbers(*batch, 3).double()
    hx = numbers(*batch, 5, seed=1).double(), numbers(*batch, 5, seed=2).double()
    for arguments in ((x,), (x, hx)):
        mine, theirs = own(*arguments), other(*arguments)
        torch.testing.assert_close(mine, theirs)
        gradients = [
            torch.autograd.grad((h * c.exp()).sum(), list(module.parameters()))
            for module, (h, c) in ((own, mine), (other, theirs))
        ]
        torch.testing.assert_close(*gradients)


def test_cell_in_a_loop_equals_the_layer():
    cell, layer = LSTMCell(3, 5), LSTM(3, 5)
    layer.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    x, state = numbers(6, 2, 3), None
    for step in x:
        state = cell(step, state)
    _, (h, c) = layer(x)
    torch.testing.assert_close(state, (h[0], c[0]))


@pytest.mark.parametrize(
    ("x", "states", "message"),
    [
        (torch.zeros(2, 4), None, r"input must be \(2, 3\).*got \(2, 4\)"),
        (torch.zeros(6, 2, 3), None, r"input must be \(6, 3\).*got \(6, 2, 3\)"),
        (torch.zeros(2, 3).double(), None, "got .* of torch.float64"),
        (torch.zeros(2, 3), (torch.zeros(2, 5), torch.zeros(1, 5)), r"c must be \(2, 5\)"),
        (torch.zeros(2, 3), torch.zeros(2, 2, 5), r"hx must be the tuple \(h, c\) of tensors"),
        (torch.zeros(2, 3, device="meta"), None, "on meta as x is, got torch.float32 on cpu"),
    ],
)
def test_cell_refuses_what_does_not_fit(x, states, message):
    with pytest.raises(ConfigError, match=message):
        LSTMCell(3, 5)(x, states)


def test_repr_shows_the_options():
    assert "forget_bias=1.0" in repr(LSTM(3, 5, forget_bias=1.0))
    assert repr(LSTMCell(3, 5)).startswith("LSTMCell(3, 5, bias=True, recurrent_init=orthogonal")
