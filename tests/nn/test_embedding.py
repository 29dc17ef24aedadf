"""The table of symbols against torch.nn.Embedding and against one-hot rows."""

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call, grad, stack_module_state, vmap

from optlab.config import ConfigError
from optlab.init import initialize, zeros_
from optlab.nn.embedding import Embedding


def tokens(*shape, symbols=7, seed=0):
    return torch.randint(symbols, shape, generator=torch.Generator().manual_seed(seed))


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 3, 4), (0, 4)], ids=str)
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_equals_torch_forward_and_backward(shape, dtype):
    ours, torchs = Embedding(7, 5).double(), nn.Embedding(7, 5).double()
    torchs.load_state_dict(ours.state_dict())
    x, weight = tokens(*shape).to(dtype), numbers(*shape, 5)
    assert torch.equal(ours(x), torchs(x))
    (ours(x) * weight).sum().backward()
    (torchs(x) * weight).sum().backward()
    torch.testing.assert_close(ours.weight.grad, torchs.weight.grad, rtol=1e-14, atol=0)


def test_is_the_product_of_one_hot_rows():
    module, x = Embedding(7, 5).double(), tokens(3, 4)
    one_hot = nn.functional.one_hot(x, 7).double()
    torch.testing.assert_close(module(x), one_hot @ module.weight)


def test_a_symbol_gathers_the_gradients_of_all_its_places():
    module = Embedding(4, 2)
    module(torch.tensor([[1, 3, 1], [1, 0, 3]])).sum().backward()
    assert module.weight.grad.tolist() == [[1, 1], [3, 3], [0, 0], [2, 2]]


def test_derivatives_of_first_and_second_order():
    module, x = Embedding(7, 5).double(), tokens(3, 4)

    def rows(weight):
        return functional_call(module, {"weight": weight}, (x,)).square()

    weight = numbers(7, 5).requires_grad_()
    assert gradcheck(rows, (weight,))
    assert gradgradcheck(rows, (weight,))


def test_tokens_of_any_layout():
    module, x = Embedding(7, 5), tokens(4, 3)
    assert torch.equal(module(x.t()), module(x.t().contiguous()))


def stacked_slopes(compiled):
    runs = [Embedding(7, 5, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    parameters, _ = stack_module_state(runs)
    x = tokens(3, 4, 6)

    def cost(p, rows):
        return functional_call(runs[0], p, (rows,)).sin().sum()

    slopes = vmap(grad(cost))
    stacked = (torch.compile(slopes) if compiled else slopes)(parameters, x)["weight"]
    alone = [grad(cost)(dict(run.named_parameters()), x[i])["weight"] for i, run in enumerate(runs)]
    return stacked, torch.stack(alone)


def test_stack_has_a_table_for_each_run():
    torch.testing.assert_close(*stacked_slopes(compiled=False))


def test_stack_can_be_compiled():
    torch.testing.assert_close(*stacked_slopes(compiled=True))


@pytest.mark.parametrize("token", [-1, 7])
@pytest.mark.parametrize(
    "transform", [lambda f: f, vmap, torch.compile], ids=["", "vmap", "compile"]
)
def test_token_outside_the_vocabulary_is_an_error(token, transform):
    torch._dynamo.reset()
    with torch.no_grad(), pytest.raises((IndexError, RuntimeError), match=r"bounds|out of range"):
        transform(Embedding(7, 5).forward)(torch.full((2, 3), token))


def test_numbers_are_refused():
    with pytest.raises(ConfigError, match=r"int64 or int32, got torch.float32"):
        Embedding(7, 5)(torch.zeros(3))


def test_starts_with_variance_one_whatever_the_initializer():
    module = Embedding(200, 100)
    initialize(module, zeros_, seed=3)
    # A deviation of 20000 numbers has a standard error of 1/200.
    assert float(module.weight.detach().std()) == pytest.approx(1, abs=0.02)
    first = module.weight.detach().clone()
    initialize(module, zeros_, seed=4)
    assert not torch.equal(first, module.weight)


def test_first_weights_come_from_the_given_stream_or_as_torchs_from_the_global_one():
    def first(**options):
        torch.manual_seed(5)
        return Embedding(7, 5, **options).weight

    stream = torch.Generator().manual_seed(1)
    assert torch.equal(first(), first())
    assert not torch.equal(first(), Embedding(7, 5).weight)
    before = torch.get_rng_state()
    drawn = Embedding(7, 5, generator=stream).weight
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(first(), drawn)


def test_repr_shows_the_sizes():
    assert repr(Embedding(7, 5)) == "Embedding(7, 5)"
