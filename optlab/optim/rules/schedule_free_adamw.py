"""Schedule-Free AdamW: Adam's normalized gradients, averaged instead of slowed down.

    t = t + 1
    a = lr * min(1, t / warmup_steps)
    a_max = max(a_max, a)
    s = t^r * a_max^weight_lr_power
    S = S + s
    c = s / S
    v = beta2 * v + (1 - beta2) * g * g
    v_hat = v / (1 - beta2^t)
    u = g / (sqrt(v_hat) + eps) + weight_decay * y
    y = y + c * (z - y) + a * (beta1 * (1 - c) - 1) * u
    z = z - a * u

As in `optlab.optim.rules.schedule_free_sgd` the parameter tensor holds y, where gradients are
taken, and `iterate` gives the average x of the points z, where the model is to be judged:

    x = y + (1 - 1 / beta1) * (z - y)

There is no mean of gradients: interpolating between z and x takes its place, so beta1, which must
be above 0, stands for where gradients are taken. The decay is decoupled from the normalization and,
unlike AdamW's, acts on z by the value of y.

Symbols: beta -> ``beta1``; b2 -> ``beta2`` (packed as ``betas``); gamma -> ``lr``; y -> ``param``;
x -> `iterate`; z -> ``z``; v -> ``exp_avg_sq``; S -> ``weight_sum``; a_max -> ``lr_max``;
t -> ``step``.

State: ``step``, 0-d float32; ``weight_sum`` and ``lr_max``, 0-d float64; ``z`` and ``exp_avg_sq``,
shaped like the parameter, at first equal to it and zero.

Source: Defazio, Yang, Mehta, Mishchenko, Khaled and Cutkosky (2024), The Road Less Scheduled
(arXiv 2405.15682), Algorithm 1.

Differs from ``schedulefree.AdamWScheduleFree``, whose points and defaults these are, as stated in
`optlab.optim.rules.schedule_free_sgd`. The published experiments (there
``AdamWScheduleFreePaper``) correct the rate for the bias of v, lr * sqrt(1 - beta2^t), which
changes the decay, the place of eps and the weights of the average in the first steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab.optim.math import bias_correction, ema, root
from optlab.optim.rule import Hyper, NewState, Rule, State
from optlab.optim.rules.schedule_free_sgd import (
    Interpolation,
    advance,
    average,
    init_average,
    move,
    z_before,
)
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.registry import optimizers
from optlab.types import Decay, NonNegative


@dataclass(frozen=True)
class ScheduleFreeAdamWHyper(Hyper):
    """Hyperparameters of Schedule-Free AdamW; the defaults are those of the authors' package.

    Attributes:
        lr: Step length of z; the authors advise 1 to 10 times that of AdamW.
        beta1: Share of the average in the point at which gradients are taken.
        beta2: Decay of the mean of squared gradients.
        eps: Keeps the divisor from zero.
        weight_decay: Decay of the parameters, towards zero from y.
        warmup_steps: Steps over which the rate grows linearly to ``lr``.
        r: Power of the step in the weights of the average: above 0 it favours late points.
        weight_lr_power: Power of the largest rate so far in these weights.
    """

    PACKED: ClassVar[Mapping[str, tuple[str, ...]]] = {"betas": ("beta1", "beta2")}

    lr: NonNegative = 2.5e-3
    beta1: Interpolation = 0.9
    beta2: Decay = 0.999
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.0
    warmup_steps: NonNegative = 0.0
    r: NonNegative = 0.0
    weight_lr_power: NonNegative = 2.0


def init_state(param: Tensor, hyper: ScheduleFreeAdamWHyper) -> NewState:
    """Return an empty average, z at the parameter, and a mean of squares of zero."""
    return {**init_average(), "z": param.clone(), "exp_avg_sq": torch.zeros_like(param)}


def update(
    grad: Tensor, param: Tensor, state: State, hyper: ScheduleFreeAdamWHyper
) -> tuple[Tensor, NewState]:
    """Return the next point for gradients, and the average's numbers, z and v after one step."""
    rate, c, numbers = advance(state, hyper)
    z = z_before(param, state["z"], numbers["step"])
    v = ema(state["exp_avg_sq"], grad * grad, hyper.beta2)
    correction = bias_correction(hyper.beta2, numbers["step"])
    u = grad / root(v, hyper.eps, "outside", correction) + hyper.weight_decay * param
    y, z = move(param, z, u, hyper.beta1, rate, c)
    return y, {**numbers, "z": z, "exp_avg_sq": v}


def iterate(param: Tensor, state: State, hyper: ScheduleFreeAdamWHyper) -> Tensor:
    """Return the average x, at which the model is to be judged."""
    return average(param, state["z"], hyper.beta1)


@optimizers.register("schedule_free_adamw")
class ScheduleFreeAdamW(RuleOptimizer):
    """Schedule-Free AdamW (Defazio et al., 2024): averaging instead of a decreasing rate.

    The parameters hold the points at which gradients are taken; evaluate inside ``with
    optimizer.at_iterate():``. The equations and their source are in
    `optlab.optim.rules.schedule_free_adamw`.
    """

    rule = Rule(
        ScheduleFreeAdamWHyper,
        init_state,
        update,
        scalars=("step", "weight_sum", "lr_max"),
        iterate=iterate,
    )
