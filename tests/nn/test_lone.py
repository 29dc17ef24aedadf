"""The quick way into kernels: who may take it, and what autograd knows of it."""

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode

from optlab.nn.batchnorm import BatchNorm1d
from optlab.nn.dropout import Dropout
from optlab.nn.layernorm import LayerNorm
from optlab.nn.lone import is_alone, lone, parameter_of

LAYERS = [lambda **device: BatchNorm1d(5, **device), lambda **device: LayerNorm(5, **device)]


def cube():
    """Return x * x * s, whose kernel notes how often it is asked for which gradients."""
    asked = []

    def forward(x, s, power):
        return x**power * s, x * 2

    def backward(grad, x, s, kept, power, needed):
        asked.append(needed[:2])
        ds = grad * x**power if needed[1] else None
        return grad * power * x ** (power - 1) * s, ds

    return lone(forward, backward, lambda x, s, power: x**power * s, num_tensors=2), asked


def numbers(*values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def test_gradients_of_every_order():
    call, _ = cube()
    inputs = (numbers(1.0, -2.0), numbers(0.5, 3.0))
    assert torch.autograd.gradcheck(lambda x, s: call(x, s, 3)[0], inputs)
    assert torch.autograd.gradgradcheck(lambda x, s: call(x, s, 3)[0], inputs)
    (first,) = torch.autograd.grad(call(*inputs, 3)[0].sum(), inputs[0], create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), inputs[0], create_graph=True)
    (third,) = torch.autograd.grad(second.sum(), inputs[0])
    torch.testing.assert_close(third, 6 * inputs[1])


def test_kernel_hears_which_gradients_are_needed():
    call, asked = cube()
    x, s = numbers(1.0), numbers(2.0).detach()
    call(x, s, 3)[0].backward()
    assert asked == [(True, False)]


def test_what_is_kept_has_no_gradient():
    call, _ = cube()
    result, kept = call(numbers(1.0), numbers(2.0), 3)
    assert result.requires_grad
    assert not kept.requires_grad


def test_nothing_is_recorded_without_gradients():
    call, _ = cube()
    with torch.no_grad():
        assert call(numbers(1.0), numbers(2.0), 3)[0].grad_fn is None


def test_whoever_looks_at_operators_sees_those_of_the_layer():
    x = torch.zeros(3)
    assert is_alone(x)
    assert is_alone(nn.Parameter(x))
    assert not is_alone(x.as_subclass(type("Other", (torch.Tensor,), {})))
    assert not torch.vmap(lambda row: torch.tensor(is_alone(row)))(x).any()
    with FakeTensorMode():
        assert not is_alone(torch.zeros(3))


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize("fake", [False, True], ids=["meta", "fake"])
def test_layers_without_numbers_know_their_shapes(make, fake):
    """As tools take them that plan memory or make a graph before there are weights."""
    if fake:
        with FakeTensorMode():
            x = torch.zeros(7, 5, requires_grad=True)
            y = make()(x)
            y.sum().backward()
    else:
        x = torch.zeros(7, 5, device="meta", requires_grad=True)
        y = make(device="meta")(x)
        y.sum().backward()
    assert y.shape == x.grad.shape == (7, 5)


def begun_alike(make):
    torch.manual_seed(0)
    return make()


@pytest.mark.parametrize("make", [*LAYERS, lambda: Dropout(0.5)])
def test_inference_mode(make):
    x = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    plain, other = begun_alike(make), begun_alike(make)
    with torch.inference_mode():
        y = other(x)
        made_inside = begun_alike(make)(x)
    assert torch.equal(y, plain(x))
    assert torch.equal(made_inside, y)
    torch.testing.assert_close(dict(other.named_buffers()), dict(plain.named_buffers()))


def test_parameter_is_found_where_it_is():
    layer = BatchNorm1d(3, affine=False)
    assert parameter_of(layer, "weight") is None
    layer = BatchNorm1d(3)
    assert parameter_of(layer, "weight") is layer.weight
