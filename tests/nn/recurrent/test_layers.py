"""What LSTM and RNN share, against torch: sequences, layers, directions, first weights."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from optlab.config import ConfigError
from optlab.init import initialize, xavier_normal_
from optlab.nn.dropout import seed_dropout
from optlab.nn.recurrent import LSTM, RNN

KINDS = pytest.mark.parametrize("ours", [LSTM, RNN])
TORCHS = {LSTM: nn.LSTM, RNN: nn.RNN}
FORMS = pytest.mark.parametrize(
    "options",
    [{}, {"bidirectional": True, "num_layers": 2}, {"batch_first": True, "bias": False}],
    ids=["plain", "two layers, two directions", "batch first, no bias"],
)
LENGTHS = torch.tensor([3, 7, 1, 5])


def numbers(*shape, seed=0):
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=stream, dtype=torch.float64)


def pair(ours, **options):
    """Our layers and torch's, of 3 inputs and 5 units, with the same weights."""
    own = ours(3, 5, **options).double()
    for seed, parameter in enumerate(own.parameters()):
        parameter.data.copy_(0.5 * numbers(*parameter.shape, seed=seed))
    other = TORCHS[ours](3, 5, **options).double()
    other.load_state_dict(own.state_dict())
    return own, other


def first_states(module, batch, seed=7):
    count = module.num_layers * (1 + module.bidirectional)
    h, c = numbers(count, batch, 5, seed=seed), numbers(count, batch, 5, seed=seed + 1)
    return (h, c) if isinstance(module, LSTM) else h


def states(result):
    return result if isinstance(result, tuple) else (result,)


def total(output, finals):
    """A number that depends on all results, each with weights of its own."""
    parts = [output, *states(finals)]
    return sum((numbers(*p.shape, seed=50 + i) * p).sum() for i, p in enumerate(parts))


@KINDS
@FORMS
def test_outputs_states_and_gradients_equal_torchs(ours, options):
    own, other = pair(ours, **options)
    found = []
    for module in (own, other):
        x = numbers(4, 6, 3, seed=2).requires_grad_()
        first = first_states(own, 6 if not own.batch_first else 4)
        for state in states(first):
            state.requires_grad_()
        output, finals = module(x, first)
        inputs = [x, *states(first), *module.parameters()]
        gradients = torch.autograd.grad(total(output, finals), inputs)
        found.append([output, *states(finals), *gradients])
    # Some 100 roundings of float64, as a share of the largest element.
    for mine, theirs in zip(*found, strict=True):
        difference = (mine - theirs).detach().abs().max()
        assert float(difference / theirs.detach().abs().max()) < 1e-13


@KINDS
def test_without_a_batch(ours):
    own, other = pair(ours, bidirectional=True)
    x, first = numbers(6, 3), first_states(own, 1)
    single = tuple(s[:, 0] for s in first) if ours is LSTM else first[:, 0]
    torch.testing.assert_close(own(x, single), other(x, single))
    torch.testing.assert_close(own(x), other(x))


@KINDS
@pytest.mark.parametrize("batch_first", [False, True])
def test_padded_sequences_equal_each_alone(ours, batch_first):
    own, _ = pair(ours, bidirectional=True, num_layers=2, batch_first=batch_first)
    x = numbers(4, 7, 3) if batch_first else numbers(7, 4, 3)
    first = first_states(own, 4)
    output, finals = own(x, first, LENGTHS)
    rows = output if batch_first else output.transpose(0, 1)
    for b, length in enumerate(LENGTHS.tolist()):
        sequence = x[b, :length] if batch_first else x[:length, b]
        start = tuple(s[:, b] for s in first) if ours is LSTM else first[:, b]
        alone, last = own(sequence, start)
        torch.testing.assert_close(rows[b, :length], alone)
        assert not rows[b, length:].any()
        for state, final in zip(states(finals), states(last), strict=True):
            torch.testing.assert_close(state[:, b], final)


@KINDS
def test_gradients_of_padded_sequences_equal_those_of_packed_ones_in_torch(ours):
    own, other = pair(ours, bidirectional=True, num_layers=2)
    x = numbers(7, 4, 3, seed=1)
    output, finals = own(x, None, LENGTHS)
    mine = torch.autograd.grad(total(output, finals), list(own.parameters()))
    packed, last = other(pack_padded_sequence(x, LENGTHS, enforce_sorted=False))
    padded, _ = pad_packed_sequence(packed)
    theirs = torch.autograd.grad(total(padded, last), list(other.parameters()))
    torch.testing.assert_close(mine, theirs)


@KINDS
def test_padding_of_any_content_changes_nothing(ours):
    own, _ = pair(ours, bidirectional=True)
    x = numbers(7, 4, 3)
    beyond = torch.arange(7).unsqueeze(1) >= LENGTHS
    found = []
    for filler in (0.0, float("nan")):
        padded = x.masked_fill(beyond.unsqueeze(2), filler)
        output, finals = own(padded, None, LENGTHS)
        found.append(torch.autograd.grad(total(output, finals), list(own.parameters())))
    torch.testing.assert_close(*found, rtol=0, atol=0)


@KINDS
def test_a_sequence_without_steps_keeps_its_first_state(ours):
    own, _ = pair(ours)
    first = first_states(own, 2)
    output, finals = own(numbers(3, 2, 3), first, torch.tensor([0, 3]))
    assert not output[:, 0].any()
    for before, after in zip(states(first), states(finals), strict=True):
        assert torch.equal(before[:, 0], after[:, 0])


@KINDS
@pytest.mark.parametrize("order", [[7, 5, 5, 2], [5, 2, 7, 5]], ids=["sorted", "not sorted"])
def test_packed_sequences_equal_torchs(ours, order):
    own, other = pair(ours, bidirectional=True, num_layers=2)
    ordered = order == sorted(order, reverse=True)
    packed = pack_padded_sequence(numbers(7, 4, 3), torch.tensor(order), enforce_sorted=ordered)
    first = first_states(own, 4)
    (mine, last), (theirs, wanted) = own(packed, first), other(packed, first)
    assert isinstance(mine, PackedSequence)
    torch.testing.assert_close(mine.data, theirs.data)
    torch.testing.assert_close(last, wanted)
    torch.testing.assert_close(pad_packed_sequence(mine), pad_packed_sequence(theirs))


@KINDS
def test_state_dict_of_torch_can_be_loaded(ours):
    own, other = (kind(3, 5, num_layers=2, bidirectional=True) for kind in (ours, TORCHS[ours]))
    own.load_state_dict(other.state_dict())
    assert list(own.state_dict()) == list(other.state_dict())


@KINDS
def test_dropout_between_layers_follows_the_seed(ours):
    own = ours(3, 5, num_layers=3, dropout=0.5).double()
    x = numbers(4, 6, 3)
    seed_dropout(own, 1)
    first, second = own(x)[0], own(x)[0]
    seed_dropout(own, 1)
    assert torch.equal(own(x)[0], first)
    assert not torch.equal(first, second)
    seed_dropout(own, 2)
    assert not torch.equal(own(x)[0], first)


@KINDS
def test_dropout_leaves_the_last_layer_and_evaluation_alone(ours):
    own, _ = pair(ours, num_layers=2)
    dropping = ours(3, 5, num_layers=2, dropout=0.5).double()
    dropping.load_state_dict(own.state_dict(), strict=False)
    x = numbers(4, 6, 3)
    assert (dropping(x)[0] != 0).all()
    torch.testing.assert_close(dropping.eval()(x)[0], own(x)[0], rtol=0, atol=0)


@KINDS
def test_each_gate_is_filled_as_a_weight_of_its_own(ours):
    module = ours(3, 50)
    initialize(module, xavier_normal_, seed=3)
    for block in module.weight_ih_l0.detach().split(50):
        # Glorot's deviation for (50, 3), not for all gates at once; 150 numbers give +- 20 %.
        assert float(block.std()) == pytest.approx((2 / 53) ** 0.5, rel=0.2)
    for block in module.weight_hh_l0.detach().split(50):
        torch.testing.assert_close(block @ block.T, torch.eye(50), rtol=0, atol=1e-5)
    assert not module.bias_hh_l0.any()


@KINDS
def test_first_weights_follow_the_seed_and_nothing_else(ours):
    one, two, other = ours(3, 5), ours(3, 5, num_layers=2), ours(3, 5)
    initialize(one, xavier_normal_, seed=3)
    initialize(two, xavier_normal_, seed=3)
    initialize(other, xavier_normal_, seed=4)
    assert torch.equal(one.weight_hh_l0, two.weight_hh_l0)
    assert not torch.equal(one.weight_hh_l0, other.weight_hh_l0)


@KINDS
@pytest.mark.parametrize("rule", ["identity", "same"])
def test_recurrent_weights_start_by_the_chosen_rule(ours, rule):
    module = ours(3, 5, recurrent_init=rule)
    initialize(module, lambda tensor, generator: tensor.fill_(7.0), seed=0)
    for block in module.weight_hh_l0.detach().split(5):
        assert torch.equal(block, torch.eye(5) if rule == "identity" else torch.full((5, 5), 7.0))


@KINDS
def test_number_of_weights_does_not_depend_on_the_length(ours):
    """RNN-11."""
    module = ours(3, 5)
    count = sum(parameter.numel() for parameter in module.parameters())
    for steps in (5, 500):
        assert module(torch.zeros(steps, 2, 3))[0].shape == (steps, 2, 5)
    assert sum(parameter.numel() for parameter in module.parameters()) == count


@KINDS
def test_gradient_is_the_sum_over_untied_copies_of_each_step(ours):
    """RNN-11: a chain of modules of one step, each with weights of its own."""
    own, _ = pair(ours)
    x = numbers(4, 2, 3)
    whole = torch.autograd.grad(own(x)[0].sin().sum(), list(own.parameters()))
    copies = [pair(ours)[0] for _ in range(4)]
    outputs, state = [], None
    for copy, step in zip(copies, x, strict=True):
        output, state = copy(step.unsqueeze(0), state)
        outputs.append(output)
    loss = torch.cat(outputs).sin().sum()
    apart = [torch.autograd.grad(loss, list(c.parameters()), retain_graph=True) for c in copies]
    torch.testing.assert_close(list(whole), [sum(parts) for parts in zip(*apart, strict=True)])


@KINDS
def test_an_empty_batch_gives_empty_results(ours):
    output, finals = ours(3, 5)(torch.zeros(4, 0, 3))
    assert output.shape == (4, 0, 5)
    assert all(state.shape == (1, 0, 5) for state in states(finals))
    output.sum().backward()


@KINDS
@pytest.mark.parametrize(
    ("shape", "message"),
    [((4, 2, 7), r"I = 3, got \(4, 2, 7\)"), ((0, 2, 3), "one time step"), ((3,), "got")],
)
def test_input_that_does_not_fit_is_refused(ours, shape, message):
    with pytest.raises(ConfigError, match=message):
        ours(3, 5)(torch.zeros(shape))


@KINDS
def test_input_of_another_dtype_is_refused(ours):
    with pytest.raises(ConfigError, match=r"dtype torch.float32, got torch.float64"):
        ours(3, 5)(torch.zeros(4, 2, 3, dtype=torch.float64))


@KINDS
def test_input_on_another_device_is_refused(ours):
    with pytest.raises(ConfigError, match="parameters' device cpu, got meta"):
        ours(3, 5)(torch.zeros(4, 2, 3, device="meta"))


@KINDS
@pytest.mark.parametrize("dtype", [torch.complex64, torch.int64])
def test_parameters_that_are_no_floats_are_refused(ours, dtype):
    with pytest.raises(ConfigError, match=f"dtype must be one of .*float16, got {dtype}"):
        ours(3, 5, dtype=dtype)


@KINDS
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_weight_that_was_replaced_by_one_of_another_shape_is_refused(ours, device):
    """C would read past its end, and a compiler would be told another shape."""
    module = ours(3, 5, device=device)
    module.weight_hh_l0 = nn.Parameter(torch.zeros(7, 5, device=device))
    rows = 5 * len(module.gates)
    with pytest.raises(ConfigError, match=rf"\(1, {rows}, 5\) here, got \(1, 7, 5\)"):
        module(torch.zeros(4, 2, 3, device=device))


@KINDS
def test_a_bias_that_was_taken_away_counts_as_zero(ours):
    one, both = pair(ours)[0], pair(ours)[0]
    one.bias_hh_l0 = None
    both.bias_hh_l0.data.zero_()
    torch.testing.assert_close(one(numbers(4, 2, 3)), both(numbers(4, 2, 3)))


@KINDS
def test_final_states_may_be_written_over_before_the_gradient(ours):
    own, other = pair(ours)
    found = []
    for module in (own, other):
        output, finals = module(numbers(4, 6, 3))
        for state in states(finals):
            state.mul_(2)
        found.append(torch.autograd.grad(total(output, finals), list(module.parameters())))
    torch.testing.assert_close(*found)


@KINDS
def test_flatten_parameters_changes_nothing(ours):
    """Code for torch's layers calls it."""
    own, _ = pair(ours)
    wanted = own(numbers(4, 6, 3))
    own.flatten_parameters()
    torch.testing.assert_close(own(numbers(4, 6, 3)), wanted, rtol=0, atol=0)


@KINDS
def test_packed_sequences_know_their_device_whatever_the_default(ours):
    own, other = pair(ours)
    packed = pack_padded_sequence(numbers(7, 2, 3), torch.tensor([7, 4]))
    wanted = other(packed)
    with torch.device("meta"):
        output, finals = own(packed)
    torch.testing.assert_close(output.data, wanted[0].data)
    torch.testing.assert_close(finals, wanted[1])


@KINDS
@pytest.mark.parametrize(
    ("make", "got"),
    [
        (lambda h: (h,), "tuple of 1"),
        (lambda h: (h, h, h), "tuple of 3"),
        (lambda h: (h, None), "tuple of 2"),
        (lambda h: {"h0": h}, "dict"),
    ],
)
def test_states_of_another_kind_are_refused(ours, make, got):
    form = r"the tuple \(h0, c0\) of tensors" if ours is LSTM else "one tensor"
    with pytest.raises(ConfigError, match=f"hx must be {form}, got {got}"):
        ours(3, 5)(torch.zeros(4, 2, 3), make(torch.zeros(1, 2, 5)))


@KINDS
def test_states_of_another_shape_are_refused(ours):
    wrong = torch.zeros(1, 3, 5)
    with pytest.raises(ConfigError, match=r"h0 must be \(1, 2, 5\) .* got \(1, 3, 5\)"):
        ours(3, 5)(torch.zeros(4, 2, 3), (wrong, wrong) if ours is LSTM else wrong)


@KINDS
@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (torch.tensor([4, 5]), r"lengths must be in \[0, 4\], got values from 4 to 5"),
        (torch.tensor([4]), r"lengths must be \(2,\) integers"),
        (torch.tensor([4.0, 3.0]), r"lengths must be \(2,\) integers"),
        (torch.tensor([True, False]), r"lengths must be \(2,\) integers"),
        ([4, 3], r"lengths must be a tensor, got list of 2; wrap it: torch.tensor\(lengths\)"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(ours, lengths, message):
    with pytest.raises(ConfigError, match=message):
        ours(3, 5)(torch.zeros(4, 2, 3), None, lengths)


@KINDS
def test_lengths_of_what_has_no_padding_are_refused(ours):
    with pytest.raises(ConfigError, match="lengths is for a batch"):
        ours(3, 5)(torch.zeros(4, 3), None, torch.tensor([4]))
    packed = pack_padded_sequence(torch.zeros(4, 2, 3), torch.tensor([4, 4]))
    with pytest.raises(ConfigError, match="a packed one has its own"):
        ours(3, 5)(packed, None, torch.tensor([4, 4]))


@KINDS
@pytest.mark.parametrize(
    ("option", "value"),
    [("hidden_size", 0), ("num_layers", 0), ("dropout", 1.0), ("recurrent_init", "ones")],
)
def test_options_out_of_range_are_refused(ours, option, value):
    with pytest.raises(ConfigError, match=option):
        ours(**{"input_size": 3, "hidden_size": 5, option: value})
