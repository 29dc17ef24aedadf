"""The points at which a model is judged, and how they get into its parameters and out again."""

import inspect
from typing import Any

import pytest
import torch
from torch import nn

from optlab.optim import NAG, RuleOptimizer
from optlab.registry import optimizers
from tests.optim.networks import network, train

every_class = pytest.mark.parametrize(
    "make", [pytest.param(make, id=name) for name, make in optimizers.items()]
)


@every_class
def test_without_an_iterate_of_its_own_the_parameters_are_the_iterates(
    make: type[RuleOptimizer],
) -> None:
    model = network()
    optimizer = make(model.parameters())
    params = [p.detach().clone() for p in model.parameters()]
    assert all(map(torch.equal, optimizer.iterates(), params))
    train(model, optimizer)
    here = list(map(torch.equal, optimizer.iterates(), model.parameters()))
    assert all(here) if make.rule.iterate is None else not any(here)


def trained_nag() -> tuple[nn.Module, NAG]:
    model = network()
    optimizer = NAG(model.parameters(), lr=0.1)
    train(model, optimizer)
    return model, optimizer


def test_the_model_is_evaluated_at_the_iterate_and_comes_back() -> None:
    model, optimizer = trained_nag()
    before, iterates = [p.detach().clone() for p in model.parameters()], optimizer.iterates()
    with optimizer.at_iterate():
        assert all(map(torch.equal, model.parameters(), iterates))
    assert all(map(torch.equal, model.parameters(), before))


def test_parameters_come_back_after_an_exception() -> None:
    model, optimizer = trained_nag()
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(ZeroDivisionError), optimizer.at_iterate():
        _ = 1 / 0
    assert all(map(torch.equal, model.parameters(), before))
    train(model, optimizer, steps=1)
    assert not any(map(torch.equal, model.parameters(), before))


@pytest.mark.parametrize(
    ("what", "call"),
    [
        ("step", lambda o: o.step()),
        ("load_state_dict", lambda o: o.load_state_dict(o.state_dict())),
        ("at_iterate", lambda o: o.at_iterate().__enter__()),
    ],
)
def test_no_change_while_the_parameters_hold_the_iterate(what: str, call: Any) -> None:
    _, optimizer = trained_nag()
    with optimizer.at_iterate(), pytest.raises(RuntimeError, match=f"{what} inside at_iterate"):
        call(optimizer)


def test_a_rule_with_its_own_iterate_is_registered() -> None:
    # Otherwise the tests of at_iterate above would only see copies.
    assert NAG.rule.iterate is not None
    assert "at_iterate" in (inspect.getdoc(NAG) or "")
