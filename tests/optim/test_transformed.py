"""Classes of transformed rules as optimizers, and what a configuration asks of them."""

import copy
import inspect
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from optlab.config import ConfigError
from optlab.optim import (
    NAG,
    SGD,
    Adam,
    RuleOptimizer,
    Transform,
    averaged,
    cautious,
    lookahead,
    with_transforms,
)
from optlab.optim.transformed import transformed
from tests.optim.networks import network, same, train
from tests.optim.transformed import CLASSES

every_class = pytest.mark.parametrize("make", CLASSES, ids=lambda make: make.__name__)


def test_without_transforms_it_is_the_class_itself() -> None:
    assert with_transforms(Adam) is Adam


@pytest.mark.parametrize(
    ("optimizer", "transform", "message"),
    [
        (torch.optim.Adam, averaged, r"class of optlab.optim, .* got torch.optim.adam.Adam"),
        (Adam(network().parameters()), averaged, "class of optlab.optim"),
        (Adam, "ema", r"as functions: cautious, lookahead, averaged, .*; got 'ema'"),
        (Adam, Transform(cautious=True), "as functions"),
        (Adam, SGD, "got optlab.optim.rules.sgd.SGD"),
        (Adam, lookahead(SGD.rule), "as functions"),
    ],
)
def test_what_is_no_class_or_no_transform_is_refused(
    optimizer: Any, transform: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        with_transforms(optimizer, transform)


def test_a_class_says_what_it_is() -> None:
    make = with_transforms(Adam, cautious, partial(lookahead, steps=3), averaged)
    assert make.__name__ == "AveragedLookaheadCautiousAdam"
    assert issubclass(make, Adam)
    text = inspect.getdoc(make) or ""
    assert text.startswith("Adam with cautious, lookahead, averaged;")
    assert "lookahead_steps: Steps of the fast weights" in text
    assert "eps: Keeps the divisor from zero." in text


def test_what_was_given_to_a_transform_is_the_default_of_an_option() -> None:
    make = with_transforms(SGD, partial(lookahead, steps=3, alpha=0.25), averaged)
    options = inspect.signature(make).parameters
    assert [options[n].default for n in ("lookahead_steps", "lookahead_alpha")] == [3, 0.25]
    assert options["ema_decay"].kind is inspect.Parameter.KEYWORD_ONLY
    group = make(network().parameters(), ema_decay=0.5).param_groups[0]
    assert (group["lookahead_steps"], group["ema_decay"]) == (3, 0.5)


def test_a_group_has_its_own_strengths() -> None:
    a, b = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    groups = [{"params": [a], "ema_decay": 0.0}, {"params": [b]}]
    optimizer = with_transforms(SGD, partial(averaged, decay=0.5))(groups, lr=1.0)
    for _ in range(2):
        a.grad, b.grad = torch.ones(1), torch.ones(1)
        optimizer.step()
    # From 1 to 0 and -1: the last point, and shares 1 and 2 of three.
    assert [point.item() for point in optimizer.iterates()] == pytest.approx([-1.0, -2 / 3])


@pytest.mark.parametrize("option", [{"ema_decay": 1.0}, {"lookahead_steps": 0}])
def test_an_option_out_of_range_is_refused_by_name(option: dict[str, Any]) -> None:
    make = with_transforms(SGD, lookahead, averaged)
    (name,) = option
    with pytest.raises(ConfigError, match=rf"{name} must be .* \(optimizer.{name}\)"):
        make(network().parameters(), **option)


def test_a_class_statement_does_the_same() -> None:
    class Cautious(Adam):
        rule = cautious(Adam.rule)

    ours, theirs = network(), network()
    train(ours, Cautious(ours.parameters()))
    train(theirs, with_transforms(Adam, cautious)(theirs.parameters()))
    assert same(ours, theirs)


@every_class
def test_state_and_strengths_are_saved_and_read(make: type[RuleOptimizer]) -> None:
    model = network()
    optimizer = make(model.parameters(), lr=0.01)
    train(model, optimizer, steps=3)
    loaded = make(model.parameters())
    loaded.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert loaded.state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]
    assert all(map(torch.equal, loaded.iterates(), optimizer.iterates()))
    before = {n: v for s in optimizer.state.values() for n, v in s.items()}
    assert before.keys() == make.rule.init_state(torch.zeros(2), make.rule.hyper()).keys()


def test_a_state_without_the_average_is_refused() -> None:
    model = network()
    plain = Adam(model.parameters())
    train(model, plain, steps=1)
    with pytest.raises(ConfigError, match="saved by the same optimizer"):
        with_transforms(Adam, averaged)(model.parameters()).load_state_dict(plain.state_dict())


@every_class
def test_the_model_is_evaluated_at_the_iterate_and_comes_back(make: type[RuleOptimizer]) -> None:
    model = network()
    optimizer = make(model.parameters(), lr=0.01)
    train(model, optimizer, steps=1)
    before, points = [p.detach().clone() for p in model.parameters()], optimizer.iterates()
    with optimizer.at_iterate():
        assert all(map(torch.equal, model.parameters(), points))
    assert all(map(torch.equal, model.parameters(), before))


def test_a_configuration_chooses_transforms_in_their_order() -> None:
    everything = Transform(cautious=True, lookahead_steps=4, lookahead_alpha=0.9, ema=0.7)
    make = with_transforms(SGD, *everything.functions())
    assert make.__name__ == "AveragedLookaheadCautiousSGD"
    hyper: Any = make.rule.hyper()
    numbers = hyper.lookahead_steps, hyper.lookahead_alpha, hyper.ema_decay
    assert numbers == (4, 0.9, 0.7)
    assert hyper.ema_bias_correction


def test_a_configuration_may_turn_the_correction_off() -> None:
    (only,) = Transform(ema=0.7, ema_bias_correction=False).functions()
    hyper: Any = only(SGD.rule).hyper()
    assert not hyper.ema_bias_correction


def test_by_default_nothing_is_transformed() -> None:
    assert transformed(SGD, Transform()) is SGD


def test_runs_of_one_kind_share_their_class_and_what_is_compiled_for_it() -> None:
    assert transformed(NAG, Transform(ema=0.5)) is transformed(NAG, Transform(ema=0.5))
    assert transformed(NAG, Transform(ema=0.6)) is not transformed(NAG, Transform(ema=0.5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ema": 1.0}, r"ema must be in \[0, 1\), got 1.0 \(transform.ema\)"),
        ({"lookahead_steps": -1}, r"lookahead_steps must be in \[0, inf\), got -1"),
        ({"lookahead_steps": 5, "lookahead_alpha": 0.0}, r"lookahead_alpha must be in \(0, 1\]"),
        ({"lookahead_alpha": 0.8}, r"lookahead_alpha=0.8 would do nothing: .*lookahead_steps is"),
        ({"ema_bias_correction": False}, "ema_bias_correction=false would do nothing: .*ema is"),
        ({"cautious": 1}, "cautious must be true or false, got 1"),
    ],
)
def test_what_a_configuration_cannot_mean_is_refused(options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Transform(**options)
