"""The quick way into kernels: who may take it, and what autograd knows of it."""

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.autograd import forward_ad
from torch.func import functional_call, grad, stack_module_state, vmap

from optlab.nn.dropout import Dropout, seed_dropout
from optlab.nn.images.convolution import Conv2d
from optlab.nn.images.pooling import AvgPool2d, MaxPool2d
from optlab.nn.lone import is_alone, lone, parameter_of
from optlab.nn.normalization.batchnorm import BatchNorm1d, BatchNorm2d
from optlab.nn.normalization.layernorm import LayerNorm

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


def same_stream(layer):
    """Put a layer of random numbers at the start of a known stream."""
    if isinstance(layer, Dropout):
        seed_dropout(layer, 0)
    return layer


IMAGES, ROWS = (4, 3, 6, 6), (6, 3)
ALL_LAYERS = {
    "conv": (lambda **options: Conv2d(3, 4, 3, padding=1, **options), IMAGES),
    "max": (lambda **options: MaxPool2d(2), IMAGES),
    "avg": (lambda **options: AvgPool2d(2), IMAGES),
    "batchnorm1d": (lambda **options: BatchNorm1d(3, **options), ROWS),
    "batchnorm2d": (lambda **options: BatchNorm2d(3, **options), IMAGES),
    "layernorm": (lambda **options: LayerNorm(3, **options), ROWS),
    "dropout": (lambda **options: Dropout(0.5), ROWS),
}
FORMS = {
    "plain": lambda x: x,
    "channels_last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "one": lambda x: x[0],
    "bfloat16": lambda x: x.bfloat16(),
}
KINDS = [
    (kind, form)
    for kind, (_, shape) in ALL_LAYERS.items()
    for form in FORMS
    if (form != "channels_last" or shape is IMAGES)
    and (form != "one" or kind in ("conv", "max", "avg"))
]


def layer_and_input(kind, form="plain"):
    make, shape = ALL_LAYERS[kind]
    x = FORMS[form](torch.randn(shape, generator=torch.Generator().manual_seed(1)))
    torch.manual_seed(0)
    return make(dtype=x.dtype), x


@pytest.mark.parametrize(("kind", "form"), KINDS)
def test_result_may_be_written_over(kind, form):
    """As by an activation in place: it and its gradient are those of one that is not."""
    layer, x = layer_and_input(kind, form)
    found = []
    for relu in (torch.relu_, torch.relu):
        own = x.clone(memory_format=torch.preserve_format).requires_grad_()
        y = relu(same_stream(layer)(own))
        y.square().sum().backward()
        found.append((y.detach(), own.grad))
    for mine, plain in zip(*found, strict=True):
        assert mine.any()
        assert torch.equal(mine, plain)


@pytest.mark.parametrize("kind", ALL_LAYERS)
def test_result_may_be_written_over_in_a_stack(kind):
    layer, x = layer_and_input(kind)
    found = []
    for relu in (torch.relu_, torch.relu):
        states = stack_module_state([same_stream(layer), layer])

        def total(images, parameters, buffers, relu=relu):
            y = functional_call(layer, {**parameters, **buffers}, (images,))
            return relu(y).square().sum()

        found.append(vmap(grad(total))(torch.stack([x, 2 * x]), *states))
    assert found[0].any()
    assert torch.equal(*found)


@pytest.mark.parametrize("kind", ALL_LAYERS)
def test_result_may_be_written_over_in_a_compiled_function(kind):
    layer, x = layer_and_input(kind)

    def total(images):
        return torch.relu_(layer(images)).square().sum()

    torch._dynamo.reset()
    found = []
    for function in (torch.compile(total, fullgraph=True, backend="aot_eager"), total):
        same_stream(layer)
        own = x.clone().requires_grad_()
        function(own).backward()
        found.append(own.grad)
    torch.testing.assert_close(*found)


class _Sum(torch.autograd.Function):
    """A sum that sends back the gradient it is told to."""

    @staticmethod
    def forward(ctx, y, slope):
        ctx.slope = slope
        return y.sum()

    @staticmethod
    def backward(ctx, grad):
        return ctx.slope, None


@pytest.mark.parametrize("kind", ALL_LAYERS)
@pytest.mark.parametrize(
    ("slope", "value"),
    [
        (lambda y: torch._neg_view(torch.ones_like(y)), -1.0),
        (lambda y: torch._efficientzerotensor(y.shape), 0.0),
    ],
    ids=["negative_view", "zeros_without_memory"],
)
def test_gradient_that_is_no_plain_memory(kind, slope, value):
    layer, x = layer_and_input(kind)
    one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    y = same_stream(layer)(one)
    _Sum.apply(y, slope(y.detach())).backward()
    y = same_stream(layer)(other)
    y.backward(torch.full_like(y, value))
    assert torch.equal(one.grad, other.grad)


@pytest.mark.parametrize("kind", ALL_LAYERS)
def test_negative_view_is_read_with_its_sign(kind):
    layer, x = layer_and_input(kind)
    assert torch.equal(same_stream(layer)(torch._neg_view(x)), same_stream(layer)(-x))


@pytest.mark.parametrize("kind", ["conv", "batchnorm1d", "layernorm"])
def test_negative_view_in_place_of_a_weight_is_read_with_its_sign(kind):
    layer, x = layer_and_input(kind)
    weight = layer.weight.detach()
    found = [
        functional_call(layer, {"weight": negative}, (x,))
        for negative in (torch._neg_view(weight), -weight)
    ]
    assert torch.equal(*found)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's, in dual numbers
@pytest.mark.parametrize("kind", ALL_LAYERS)
def test_tangent_is_refused_and_not_lost(kind):
    layer, x = layer_and_input(kind)
    with torch.no_grad(), forward_ad.dual_level():
        dual = forward_ad.make_dual(x, torch.ones_like(x))
        with pytest.raises(NotImplementedError, match="forward mode AD"):
            layer(dual)
