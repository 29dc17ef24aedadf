"""A rule is tried before a training: its claim to be elementwise, and what its functions return."""

import functools
import random
import re
from dataclasses import dataclass
from typing import Any

import pytest
import torch

import optlab.build  # noqa: F401 - fills the registries
from optlab import registry
from optlab.config import ConfigError
from optlab.optim.kit import Hyper, NonNegative, Rule, zero_step
from optlab.optim.transforms import averaged, cautious, lookahead
from optlab.optim.trial import require_sound

RULES = {name: make.rule for name, make in registry.optimizers.items() if hasattr(make, "rule")}
PARAMS = [torch.zeros(4, 3), torch.zeros(3), torch.zeros(()), torch.zeros(0), torch.zeros(2, 3, 2)]


@dataclass(frozen=True)
class Rate(Hyper):
    """A rate alone."""

    lr: NonNegative = 1e-2


def mean(param: Any, hyper: Any) -> Any:
    return {"mean": torch.zeros_like(param)}


def sound(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    m = 0.9 * state["mean"] + grad
    return param - hyper.lr * m, {"mean": m}


def by_the_norm(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    m = 0.9 * state["mean"] + grad
    return param - hyper.lr * m / m.norm(), {"mean": m}


def clipped(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return param - hyper.lr * grad / (grad.norm() / 100).clamp(min=1), state


def by_the_axes(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    return param - hyper.lr * (grad if grad.ndim > 1 else grad.sign()), state


def tried(update: Any, init: Any = mean, hyper: Any = None, **options: Any) -> None:
    require_sound(Rule(Rate, init, update, **options), hyper or Rate(), PARAMS)


@pytest.mark.parametrize("name", RULES)
def test_built_in_rules_pass(name: str) -> None:
    require_sound(RULES[name], RULES[name].hyper(), PARAMS)


@pytest.mark.parametrize("transform", [cautious, averaged, lookahead])
@pytest.mark.parametrize("name", ["adam", "nag", "muon"])
def test_transformed_rules_pass(name: str, transform: Any) -> None:
    rule = transform(RULES[name])
    require_sound(rule, rule.hyper(), PARAMS)


@pytest.mark.parametrize("update", [by_the_norm, clipped, by_the_axes])
@pytest.mark.parametrize("lr", [0.0, 1e-12, 1.0])
def test_a_rule_that_looks_at_whole_tensors_must_say_so(update: Any, lr: float) -> None:
    with pytest.raises(ConfigError, match="set elementwise=False in its Rule") as caught:
        tried(update, hyper=Rate(lr=lr))
    assert str(caught.value).startswith(f"{update.__module__}.{update.__name__} ")
    tried(update, elementwise=False, hyper=Rate(lr=lr))


def test_a_transformed_rule_is_called_by_its_hyperparameters() -> None:
    rule = averaged(Rule(Rate, mean, by_the_norm))
    with pytest.raises(ConfigError, match=re.escape(f"update of the rule of {__name__}.Rate ")):
        require_sound(rule, rule.hyper(), PARAMS)


def returning(value: Any) -> Any:
    def update(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
        return value(param, state)

    return update


@pytest.mark.parametrize(
    ("update", "init", "parts"),
    [
        (returning(lambda p, s: p), mean, ["return (new_param, new_state)", "a tensor (3, 3) fl"]),
        (returning(lambda p, s: None), mean, ["return (new_param, new_state)", "found: None"]),
        (returning(lambda p, s: (p, s, 1)), mean, ["return (new_param", "found: tuple of 3"]),
        (returning(lambda p, s: (s, p)), mean, ["(new_param, new_state)", "(dict, a tensor (3,"]),
        (returning(lambda p, s: (p, s["mean"])), mean, ["(a tensor (3, 3) float32, a tensor"]),
        (returning(lambda p, s: (p.sum(), s)), mean, ["a parameter (3, 3) fl", "one () float32"]),
        (returning(lambda p, s: (p.double(), s)), mean, ["one (3, 3) float64"]),
        (returning(lambda p, s: (p, {})), mean, ["the entries mean of init", "found: none"]),
        (returning(lambda p, s: (p, {**s, "b": p})), mean, ["found: mean, b"]),
        (returning(lambda p, s: (p, {"mean": p.sum()})), mean, ["mean (3, 3) fl", "found: () fl"]),
        (returning(lambda p, s: (p, {"mean": 0.0})), mean, ["found: float"]),
        (sound, lambda p, h: None, ["<lambda> must return a mapping of tensors; found: None"]),
        (sound, lambda p, h: {"mean": 0.0}, ["mean is float", "zero_step()"]),
        (sound, lambda p, h: {"step": p}, ["make step, a scalar, 0-d", "found: (3, 3) float32"]),
        (sound, lambda p, h: {"step": zero_step()}, ["KeyError: 'mean' (test_trial.py, line"]),
        (sound, lambda p, h: {"step": zero_step()}, ["the state has what init_state makes: step"]),
        (lambda g, p, s, h: (p - h.rate * g, s), mean, ["the hyperparameters are lr"]),
        (lambda g, p, s, h: (p - h.lr.item() * g, s), mean, ["may be Python numbers"]),
        (lambda g, p, s, h: (p @ g[:2], s), mean, ["run without an error", "RuntimeError: "]),
    ],
)
def test_what_is_returned_is_what_must_be(update: Any, init: Any, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        tried(update, init)
    message = str(caught.value)
    assert all(part in message for part in parts), message
    assert "\n" not in message


def test_scalars_may_come_back_as_numbers_or_as_tensors() -> None:
    def counts(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
        return param - hyper.lr * grad, {"step": state["step"] + 1}

    def counts_in_a_tensor(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
        return param - hyper.lr * grad, {"step": torch.tensor(1.0) + state["step"]}

    for update in (counts, functools.partial(counts_in_a_tensor)):
        tried(update, lambda param, hyper: {"step": zero_step()})


def test_half_precision_reaches_the_rule_as_float32() -> None:
    dtypes = []

    def notes(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
        dtypes.append((grad.dtype, param.dtype))
        return sound(grad, param, state, hyper)

    require_sound(Rule(Rate, mean, notes, elementwise=False), Rate(), [torch.zeros(2).half()])
    assert dtypes == [(torch.float32, torch.float32)]


def test_what_a_rule_says_of_its_own_accord_is_said_as_it_is() -> None:
    def refuses(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
        raise ConfigError("not on a Monday")

    with pytest.raises(ConfigError, match=r"^not on a Monday$"):
        tried(refuses)


def test_the_global_random_streams_stay_where_they_are() -> None:
    torch.manual_seed(0)
    random.seed(0)
    before = torch.get_rng_state(), random.getstate()
    tried(sound)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
