from typing import Any

import pytest
import torch
from torch import nn

from optlab.config import ConfigError
from optlab.nn import BatchNorm1d
from optlab.optim import SGD, no_decay_groups


class RMSNorm(nn.Module):
    """A norm of somebody else's, over two axes."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2, 3))


class Network(nn.Module):
    """Every kind of parameter, one of them twice and one frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.hidden = nn.Linear(3, 3)
        self.batch = BatchNorm1d(3)
        self.norm = RMSNorm()
        self.head = nn.Linear(3, 5)
        self.head.weight = self.embedding.weight
        self.bias_table = nn.Parameter(torch.zeros(2, 2))
        self.frozen = nn.Linear(3, 3, bias=False).requires_grad_(False)


DECAYS = ["embedding.weight", "hidden.weight", "frozen.weight"]


def names(group: dict[str, list[tuple[str, nn.Parameter]]]) -> list[str]:
    return [name for name, _ in group["params"]]


def test_weights_decay_and_biases_norms_and_vectors_do_not() -> None:
    decay, no_decay = no_decay_groups(Network(), weight_decay=0.1)
    assert (decay["name"], decay["weight_decay"]) == ("decay", 0.1)
    assert (no_decay["name"], no_decay["weight_decay"]) == ("no_decay", 0.0)
    assert sorted(names(decay)) == sorted(DECAYS)
    expected = {
        "hidden.bias",
        "batch.weight",
        "batch.bias",
        "norm.scale",
        "head.bias",
        "bias_table",
    }
    assert set(names(no_decay)) == expected


@pytest.mark.parametrize("given", [list, lambda params: params, lambda params: None])
def test_what_is_no_model_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"takes the model, a torch.nn.Module, got (list|gen|No)"):
        no_decay_groups(given(Network().parameters()), weight_decay=0.1)


def test_every_parameter_is_there_once_under_its_first_name() -> None:
    model = Network()
    pairs = [pair for group in no_decay_groups(model, 0.1) for pair in group["params"]]
    assert len(pairs) == len(list(model.parameters()))
    assert all(dict(model.named_parameters())[name] is parameter for name, parameter in pairs)


@pytest.mark.parametrize("make", [SGD, torch.optim.SGD, torch.optim.AdamW])
def test_any_optimizer_takes_them_with_their_names(make: type[torch.optim.Optimizer]) -> None:
    groups = make(no_decay_groups(Network(), 0.1), lr=0.5).param_groups
    assert [g["weight_decay"] for g in groups] == [0.1, 0.0]
    assert "hidden.weight" in groups[0]["param_names"]


def test_a_step_on_zero_gradients_moves_what_decays_and_is_not_frozen() -> None:
    model = Network()
    nn.init.ones_(model.bias_table)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = SGD(no_decay_groups(model, 0.1), lr=0.5)
    for p in model.parameters():
        p.grad = torch.zeros_like(p) if p.requires_grad else None
    optimizer.step()
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert moved == set(DECAYS) - {"frozen.weight"}


def test_a_group_without_parameters_is_left_out() -> None:
    (only,) = no_decay_groups(nn.Linear(2, 3, bias=False), 0.1)
    assert only["name"] == "decay"


def test_the_optimizer_checks_the_decay() -> None:
    with pytest.raises(ConfigError, match=r"weight_decay must be in \[0, inf\), got -1"):
        SGD(no_decay_groups(nn.Linear(2, 3), -1.0))
