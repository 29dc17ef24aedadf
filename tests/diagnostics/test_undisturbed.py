"""A look at a module leaves no trace in it, nor in torch's generator."""

import pytest
import torch
from torch import nn

from optlab.diagnostics import undisturbed
from optlab.models.mlp import MLP
from optlab.nn import BatchNorm1d


class Replaces(nn.Module):
    """Puts a new tensor in place of its buffer, adds one, and takes one away."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(2))
        self.register_buffer("hidden", torch.ones(2), persistent=False)
        self.register_buffer("none", None)

    def forward(self, x):
        self.mean = self.mean + x
        self.hidden.add_(x)
        self.none = x
        return x


def test_buffers_are_the_same_tensors_with_the_same_numbers():
    module = Replaces()
    mean, hidden = module.mean, module.hidden
    with undisturbed(module):
        module(torch.ones(2))
        assert module.mean.tolist() == [1.0, 1.0]
    assert module.mean is mean
    assert module.hidden is hidden
    assert module.none is None
    assert (mean.tolist(), hidden.tolist()) == ([0.0, 0.0], [1.0, 1.0])


def test_running_statistics_and_dropout_counters_are_put_back():
    module = MLP(4, [5], 3, norm=BatchNorm1d, dropout=0.5)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with undisturbed(module):
        module(torch.randn(6, 4))
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_every_module_is_in_its_own_mode_again():
    module = MLP(4, [5, 5], 3)
    module.hidden[0].eval()
    modes = [part.training for part in module.modules()]
    with undisturbed(module):
        module.eval()
    assert [part.training for part in module.modules()] == modes


def test_what_is_drawn_inside_is_drawn_again():
    torch.manual_seed(5)
    with undisturbed(nn.Dropout()):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), inside)


def test_all_is_put_back_after_an_error_too():
    module = Replaces()

    def fail():
        with undisturbed(module):
            module(torch.ones(2))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert module.mean.tolist() == [0.0, 0.0]
