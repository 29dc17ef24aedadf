"""A network whose batch normalizations were folded gives what it gave in evaluation."""

import copy

import pytest
import torch
from torch import nn

from optlab.models.mlp import MLP
from optlab.nn.linear import Linear
from optlab.nn.normalization.batchnorm import BatchNorm1d, BatchNorm2d
from optlab.nn.normalization.folding import fold_batchnorm


def trained(module, *shape, seed=0):
    """Move the running statistics and the scales away from where they begin."""
    stream = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        parameter.data = torch.randn(parameter.shape, generator=stream).to(parameter.dtype)
        if "norm" in name:
            parameter.data += 1
    for _ in range(3):
        module(torch.randn(shape, generator=stream).double() + 1)
    return module


def inputs(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(5)).double()


def norms_in(module):
    return [type(part).__name__ for part in module.modules() if "Norm" in type(part).__name__]


@pytest.mark.parametrize("mode", ["variance", "sigma"])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_layers(mode, affine, bias):
    norm = BatchNorm1d(6, affine=affine, eps=0.01, eps_mode=mode)
    net = trained(nn.Sequential(Linear(4, 6, bias), norm).double(), 16, 4)
    folded = fold_batchnorm(net)
    assert norms_in(folded) == []
    torch.testing.assert_close(folded(inputs(5, 4)), net.eval()(inputs(5, 4)))


@pytest.mark.parametrize("bias", [True, False])
def test_convolutions(bias):
    """Any layer whose weight is (out, in, ...); this one is torch's."""
    net = nn.Sequential(nn.Conv2d(3, 5, 3, bias=bias), BatchNorm2d(5), nn.Tanh()).double()
    trained(net, 4, 3, 6, 6)
    folded = fold_batchnorm(net)
    assert norms_in(folded) == []
    torch.testing.assert_close(folded(inputs(2, 3, 6, 6)), net.eval()(inputs(2, 3, 6, 6)))


def test_multilayer_perceptron_keeps_its_names_and_itself():
    net = trained(MLP(4, (6, 5), 3, norm=BatchNorm1d).double(), 16, 4)
    before = copy.deepcopy(net.state_dict())
    folded = fold_batchnorm(net)
    assert norms_in(folded) == []
    assert net.training
    assert not folded.training
    torch.testing.assert_close(net.state_dict(), before, rtol=0, atol=0)
    assert set(folded.state_dict()) >= {"hidden.0.linear.bias", "hidden.1.linear.weight"}
    torch.testing.assert_close(folded(inputs(5, 4)), net.eval()(inputs(5, 4)))


def test_layers_in_sequences_inside_others():
    inner = nn.Sequential(nn.Sequential(Linear(4, 6)), BatchNorm1d(6))
    net = trained(nn.Sequential(inner, nn.Sequential(Linear(6, 2), BatchNorm1d(2))).double(), 16, 4)
    folded = fold_batchnorm(net)
    assert norms_in(folded) == []
    torch.testing.assert_close(folded(inputs(5, 4)), net.eval()(inputs(5, 4)))


def shared():
    layer = Linear(4, 4)
    return nn.Sequential(layer, BatchNorm1d(4), layer)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(Linear(4, 4), nn.Tanh(), BatchNorm1d(4)),
        lambda: nn.Sequential(BatchNorm1d(4), Linear(4, 4)),
        lambda: nn.Sequential(BatchNorm1d(4), BatchNorm1d(4)),
        lambda: nn.Sequential(Linear(4, 4), BatchNorm1d(4, track_running_stats=False)),
        shared,
        lambda: BatchNorm1d(4),
    ],
    ids=["activation", "before", "two_norms", "no_statistics", "shared", "alone"],
)
def test_what_cannot_be_folded_is_left(make):
    net = trained(make().double(), 16, 4)
    folded = fold_batchnorm(net)
    assert norms_in(folded) == norms_in(net)
    torch.testing.assert_close(folded(inputs(5, 4)), net.eval()(inputs(5, 4)))
