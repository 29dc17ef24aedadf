"""A rule that keeps every promise, and the pieces of which tests make rules that break one."""

from dataclasses import dataclass
from typing import Any

import torch

from optlab.check import Case
from optlab.optim.kit import (
    Decay,
    Hyper,
    NonNegative,
    Rule,
    RuleOptimizer,
    bias_correction,
    ema,
    zero_step,
)


@dataclass(frozen=True)
class SoundHyper(Hyper):
    """Hyperparameters of the sound rule.

    Attributes:
        lr: Length of a step.
        beta: Decay of both means.
        eps: Keeps the divisor from zero.
        sign: Go by the sign of the mean alone.
    """

    lr: NonNegative = 1e-2
    beta: Decay = 0.9
    eps: NonNegative = 1e-8
    sign: bool = False


def init_state(param: Any, hyper: Any) -> Any:
    """Return step 0 and two means of zero."""
    mean, square = torch.zeros_like(param), torch.zeros_like(param)
    return {"step": zero_step(), "mean": mean, "square": square}


def update(grad: Any, param: Any, state: Any, hyper: Any) -> Any:
    """Return parameter and state after one step."""
    t = state["step"] + 1
    m = ema(state["mean"], grad, hyper.beta)
    v = ema(state["square"], grad * grad, hyper.beta)
    step = m.sign() if hyper.sign else m / ((v / bias_correction(hyper.beta, t)).sqrt() + hyper.eps)
    return param - hyper.lr * step, {"step": t, "mean": m, "square": v}


def a_class(
    hyper: type[Hyper] = SoundHyper,
    init: Any = init_state,
    step: Any = update,
    methods: dict[str, Any] | None = None,
    **options: Any,
) -> type[RuleOptimizer]:
    """Return an optimizer class of the sound rule with some pieces replaced."""
    rule = Rule(hyper, init, step, **options)
    return type("Made", (RuleOptimizer,), {"__doc__": "Made.", "rule": rule, **(methods or {})})


def a_case(**pieces: Any) -> Case:
    """Return the default form of such a class."""
    return Case("made", a_class(**pieces))
