"""Attention against torch's, and what a step may know (Vaswani et al., 2017)."""

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call, grad, stack_module_state, vmap

from optlab.config import ConfigError
from optlab.init import initialize
from optlab.nn.attention import MultiHeadAttention, attention
from optlab.registry import initializers


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pair(bias=True):
    ours = MultiHeadAttention(8, 2, bias=bias, causal=True).double()
    torchs = nn.MultiheadAttention(8, 2, bias=bias, batch_first=True).double()
    for seed, parameter in enumerate(ours.parameters()):
        parameter.data = numbers(*parameter.shape, seed=seed)
    torchs.load_state_dict(ours.state_dict())
    return ours, torchs


def later(steps):
    return torch.ones(steps, steps, dtype=torch.bool).triu(1)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", [(5, 4), (3, 5, 4), (2, 3, 5, 4), (2, 1, 4), (0, 5, 4)], ids=str)
def test_equals_torch_forward_and_backward(shape, causal):
    ours, theirs = ([numbers(*shape, seed=i).requires_grad_() for i in range(3)] for _ in "ab")
    found = attention(*ours, causal=causal)
    expected = nn.functional.scaled_dot_product_attention(*theirs, is_causal=causal)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
    weight = numbers(*shape, seed=9)
    (found * weight).sum().backward()
    (expected * weight).sum().backward()
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-12, atol=1e-14)


def test_queries_may_ask_another_sequence():
    query, key, value = numbers(3, 5, 4), numbers(3, 6, 4, seed=1), numbers(3, 6, 2, seed=2)
    expected = nn.functional.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(attention(query, key, value), expected, rtol=1e-12, atol=1e-14)


def test_equal_keys_give_the_mean_of_what_came_so_far():
    """By hand: all scores are equal, so that weights are 1/(i + 1)."""
    value = torch.tensor([[2.0], [4.0], [9.0]])
    found = attention(numbers(3, 4).float(), torch.ones(3, 4), value, causal=True)
    torch.testing.assert_close(found, torch.tensor([[2.0], [3.0], [5.0]]))


def test_large_scores_stay_finite():
    found = attention(torch.tensor([[1e4]]), torch.tensor([[1e4], [0.0]]), torch.eye(2))
    assert found.tolist() == [[1, 0]]


def test_derivatives_of_first_and_second_order():
    inputs = [numbers(2, 3, 2, seed=i).requires_grad_() for i in range(3)]

    def call(*tensors):
        return attention(*tensors, causal=True)

    assert gradcheck(call, inputs)
    assert gradgradcheck(call, inputs)


def test_compiled_code_attends_as_the_operation_does():
    inputs = [numbers(2, 3, 5, 4, seed=i) for i in range(3)]

    def cost(*tensors):
        return attention(*tensors, causal=True).sin().sum()

    slopes = grad(cost, (0, 1, 2))
    compiled = torch.compile(slopes, backend="aot_eager", fullgraph=True)
    for own, other in zip(slopes(*inputs), compiled(*inputs), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 8), (3, 5, 8)], ids=str)
def test_layer_equals_torch_forward_and_backward(bias, shape):
    ours, torchs = pair(bias)
    x = numbers(*shape)
    found = ours(x)
    expected, _ = torchs(x, x, x, attn_mask=later(5))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)
    found.square().sum().backward()
    expected.square().sum().backward()
    named = dict(torchs.named_parameters())
    for name, own in ours.named_parameters():
        torch.testing.assert_close(own.grad, named[name].grad, rtol=1e-11, atol=1e-11)


def test_state_dict_of_torch_can_be_loaded():
    ours, torchs = pair()
    assert list(ours.state_dict()) == list(torchs.state_dict())
    ours.load_state_dict(nn.MultiheadAttention(8, 2).state_dict())


def test_future_does_not_change_the_past():
    ours, _ = pair()
    x, other = numbers(3, 6, 8), numbers(3, 6, 8, seed=1)
    mixed = torch.cat([x[:, :4], other[:, 4:]], 1)
    assert torch.equal(ours(x)[:, :4], ours(mixed)[:, :4])
    assert not torch.equal(ours(x)[:, 4:], ours(mixed)[:, 4:])


def test_without_a_mask_the_order_of_steps_does_not_matter():
    module = MultiHeadAttention(8, 2).double()
    x, order = numbers(3, 5, 8), torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(module(x)[:, order], module(x[:, order]), rtol=1e-12, atol=1e-13)


def test_stack_of_layers_equals_each_layer():
    runs = [MultiHeadAttention(8, 2, causal=True).double() for _ in range(3)]
    for seed, run in enumerate(runs):
        initialize(run, initializers.create("he_normal", {}), seed)
    parameters, _ = stack_module_state(runs)
    x = numbers(3, 2, 5, 8)

    def cost(p, rows):
        return functional_call(runs[0], p, (rows,)).sin().sum()

    stacked = vmap(grad(cost))(parameters, x)
    for number, run in enumerate(runs):
        alone = grad(cost)(dict(run.named_parameters()), x[number])
        for name, slope in alone.items():
            # Sums of a batched matrix product may be ordered otherwise.
            torch.testing.assert_close(stacked[name][number], slope, rtol=1e-11, atol=1e-12)


def test_initializers_fill_queries_keys_and_values_as_three_weights():
    module = MultiHeadAttention(8, 2)
    module.in_proj_bias.data += 1
    initialize(module, initializers.create("identity", {"gain": 3.0}), seed=0)
    weights = [*module.in_proj_weight.chunk(3), module.out_proj.weight]
    assert all(torch.equal(weight, 3 * torch.eye(8)) for weight in weights)
    assert not module.in_proj_bias.any()
    initialize(module, initializers.create("he_normal", {}), seed=0)
    query, key, value = module.in_proj_weight.chunk(3)
    assert not torch.equal(query, key)
    assert not torch.equal(key, value)


def test_first_weights_come_from_the_given_stream_or_as_torchs_from_the_global_one():
    def first(**options):
        torch.manual_seed(5)
        return MultiHeadAttention(8, 2, **options).in_proj_weight

    stream = torch.Generator().manual_seed(1)
    assert torch.equal(first(), first())
    assert not torch.equal(first(), MultiHeadAttention(8, 2).in_proj_weight)
    before = torch.get_rng_state()
    drawn = MultiHeadAttention(8, 2, generator=stream).in_proj_weight
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(first(), drawn)


def test_half_precision_keeps_its_dtype():
    module = MultiHeadAttention(8, 2, causal=True, dtype=torch.bfloat16)
    x = numbers(3, 5, 8)
    assert module(x.bfloat16()).dtype == torch.bfloat16
    exact = MultiHeadAttention(8, 2, causal=True, dtype=torch.float64)
    exact.load_state_dict(module.state_dict())
    # bfloat16 has 8 bits: 2^-9 for each of some roundings of numbers of size 1.
    torch.testing.assert_close(module(x.bfloat16()).double(), exact(x), rtol=0, atol=0.02)


@pytest.mark.parametrize("heads", [3, 0, -2])
def test_heads_that_cannot_share_the_features_are_refused(heads):
    with pytest.raises(ConfigError, match=f"must divide 8, got {heads}"):
        MultiHeadAttention(8, heads)


@pytest.mark.parametrize("shape", [(8,), (3, 5, 7)], ids=str)
def test_inputs_of_another_shape_are_refused(shape):
    with pytest.raises(ConfigError, match=r"\(\.\.\., T, 8\), got"):
        MultiHeadAttention(8, 2)(torch.zeros(shape))


def test_nothing_to_attend_to_is_refused():
    with pytest.raises(ConfigError, match="one step or more"):
        attention(torch.zeros(3, 0, 4), torch.zeros(3, 0, 4), torch.zeros(3, 0, 4))


@pytest.mark.parametrize("other", [(1, 6, 4), (3, 6, 5), (6, 4), (4,)], ids=str)
def test_shapes_that_do_not_fit_are_refused(other):
    with pytest.raises(ConfigError, match=r"key \(\.\.\., S, d\)"):
        attention(torch.zeros(3, 5, 4), torch.zeros(other), torch.zeros(other))
    with pytest.raises(ConfigError, match=r"and \(3, 7, 4\)"):
        attention(torch.zeros(3, 5, 4), torch.zeros(3, 6, 4), torch.zeros(3, 7, 4))


def test_causal_attention_to_another_sequence_is_refused():
    with pytest.raises(ConfigError, match="5 queries and 6 keys"):
        attention(torch.zeros(5, 4), torch.zeros(6, 4), torch.zeros(6, 4), causal=True)


def test_repr_shows_the_options():
    assert repr(MultiHeadAttention(8, 2)).startswith("MultiHeadAttention(\n  8, 2, causal=False")


def test_autocast_computes_both_passes():
    module = MultiHeadAttention(8, 2, causal=True)
    x = numbers(3, 5, 8).float().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        module(x).square().sum().backward()
    (exact,) = torch.autograd.grad(module(x).square().sum(), x)
    # bfloat16 has 8 bits: 2^-9 of each of some factors.
    torch.testing.assert_close(x.grad, exact, rtol=0.05, atol=0.05)
