"""The affine layer against torch.nn.Linear (MLP-01, MLP-03)."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from optlab.nn import Linear


def pair(bias):
    ours = Linear(5, 3, bias=bias, dtype=torch.float64)
    torchs = nn.Linear(5, 3, bias=bias, dtype=torch.float64)
    torchs.load_state_dict(ours.state_dict())
    return ours, torchs


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 4, 5)])
def test_equals_torch_forward_and_backward(bias, shape):
    ours, torchs = pair(bias)
    x = torch.linspace(-1, 1, torch.Size(shape).numel(), dtype=torch.float64).reshape(shape)
    torch.testing.assert_close(ours(x), torchs(x))
    ours(x).square().sum().backward()
    torchs(x).square().sum().backward()
    for own, other in zip(ours.parameters(), torchs.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad)


def test_state_dict_of_torch_can_be_loaded():
    ours, torchs = Linear(5, 3), nn.Linear(5, 3)
    ours.load_state_dict(torchs.state_dict())
    assert torch.equal(ours.weight, torchs.weight)
    assert list(ours.state_dict()) == list(torchs.state_dict())


def test_first_weights_come_from_the_given_stream_or_as_torchs_from_the_global_one():
    def first(**options):
        torch.manual_seed(5)
        return Linear(5, 3, **options).weight

    stream = torch.Generator().manual_seed(1)
    assert torch.equal(first(), first())
    assert not torch.equal(first(), Linear(5, 3).weight)
    before = torch.get_rng_state()
    drawn = Linear(5, 3, generator=stream).weight
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(first(), drawn)
    assert (Linear(5, 3).bias == 0).all()


def test_stack_of_layers_equals_each_layer():
    layers = [Linear(5, 3, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    parameters, buffers = stack_module_state(layers)
    x = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    out = vmap(lambda p, b, row: functional_call(layers[0], (p, b), (row,)))(parameters, buffers, x)
    for run, layer in enumerate(layers):
        torch.testing.assert_close(out[run], layer(x[run]))


def test_repr_shows_the_sizes():
    assert repr(Linear(5, 3, bias=False)) == "Linear(5, 3, bias=False)"
