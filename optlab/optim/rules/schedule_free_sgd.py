"""Schedule-Free SGD: gradient descent on z, an average x of its points, and gradients in between.

    t = t + 1
    a = lr * min(1, t / warmup_steps)
    a_max = max(a_max, a)
    s = t^r * a_max^weight_lr_power
    S = S + s
    c = s / S
    u = g + weight_decay * y
    y = y + c * (z - y) + a * (momentum * (1 - c) - 1) * u
    z = z - a * u

The gradient is taken at y, which the parameter tensor holds. The model is to be judged at x, the
average of the points z with weights s; `iterate` gives it (``optimizer.at_iterate()``):

    x = y + (1 - 1 / momentum) * (z - y)

In the paper's terms ``y = (1 - momentum) * z + momentum * x`` and ``x = (1 - c) * x + c * z``;
the lines above are these two with x eliminated, so that y and z are all that is kept. That needs
momentum > 0: at 0 the gradient is taken at z, and y says nothing of the average (Polyak and
Ruppert). At 1 it is taken at the average itself (primal averaging) and x is y. The average takes
the place of a decreasing learning rate; with a constant one, x is the plain mean of all z.

Symbols: beta -> ``momentum``; gamma -> ``lr``; a, the rate of a step -> ``lr`` times the warm-up;
y -> ``param``; x -> `iterate`; z -> ``z``; S -> ``weight_sum``; a_max -> ``lr_max``; t -> ``step``.

State: ``step``, 0-d float32; ``weight_sum`` and ``lr_max``, 0-d float64; ``z``, shaped like the
parameter and equal to it at first.

Source: Defazio, Yang, Mehta, Mishchenko, Khaled and Cutkosky (2024), The Road Less Scheduled
(arXiv 2405.15682), equations 1 to 3 and Algorithm 1.

Differs from ``schedulefree.SGDScheduleFree``, whose points and defaults these are: evaluation
points are read without moving the parameters (no ``train()`` and ``eval()``); t, S and a_max are
kept per parameter, theirs per group, so a parameter that joins late starts anew; momentum 1 is
allowed, negative powers are not. If momentum changes, x is wrong until the average has forgotten
the old one. As theirs, the running statistics of batch normalization are those of y; passing data
through the model in training mode at x renews them.
"""

import sys
from dataclasses import dataclass
from typing import Annotated, Any

from torch import Tensor

from optlab.optim.math import as_float64, choose, larger, scalar, smaller, zero_step
from optlab.optim.rule import Hyper, NewState, Rule, State
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.registry import optimizers
from optlab.types import NonNegative, Range

#: Where gradients are taken between z and x: not at z, from where x could not be recovered.
Interpolation = Annotated[float, Range(low=0.0, high=1.0, open_low=True)]


@dataclass(frozen=True)
class ScheduleFreeSGDHyper(Hyper):
    """Hyperparameters of Schedule-Free SGD; the defaults are those of the authors' package.

    Attributes:
        lr: Step length of z; larger than for SGD with momentum.
        momentum: Share of the average in the point at which gradients are taken.
        weight_decay: Decay of the parameters, towards zero from y.
        warmup_steps: Steps over which the rate grows linearly to ``lr``.
        r: Power of the step in the weights of the average: above 0 it favours late points.
        weight_lr_power: Power of the largest rate so far in these weights.
    """

    lr: NonNegative = 1.0
    momentum: Interpolation = 0.9
    weight_decay: NonNegative = 0.0
    warmup_steps: NonNegative = 0.0
    r: NonNegative = 0.0
    weight_lr_power: NonNegative = 2.0


def init_state(param: Tensor, hyper: ScheduleFreeSGDHyper) -> NewState:
    """Return an empty average, and z at the parameter."""
    return {**init_average(), "z": param.clone()}


def update(
    grad: Tensor, param: Tensor, state: State, hyper: ScheduleFreeSGDHyper
) -> tuple[Tensor, NewState]:
    """Return the next point for gradients, and the average's numbers and z after one step."""
    rate, c, numbers = advance(state, hyper)
    z = z_before(param, state["z"], numbers["step"])
    u = grad + hyper.weight_decay * param
    y, z = move(param, z, u, hyper.momentum, rate, c)
    return y, {**numbers, "z": z}


def iterate(param: Tensor, state: State, hyper: ScheduleFreeSGDHyper) -> Tensor:
    """Return the average x, at which the model is to be judged."""
    return average(param, state["z"], hyper.momentum)


def init_average() -> NewState:
    """Return the numbers of an average of nothing."""
    return {"step": zero_step(), "weight_sum": scalar(0.0), "lr_max": scalar(0.0)}


def advance(state: State, hyper: Any) -> tuple[Any, Any, NewState]:
    """Return the rate of this step, the share c of the next z in the average, and its numbers.

    Args:
        state: State with the entries of `init_average`.
        hyper: Hyperparameters with the fields of `ScheduleFreeSGDHyper`, momentum aside.
    """
    t = state["step"] + 1
    rate = as_float64(hyper.lr) * smaller(1.0, as_float64(t) / larger(hyper.warmup_steps, 1.0))
    lr_max = larger(state["lr_max"], rate)
    weight = as_float64(t) ** hyper.r * lr_max**hyper.weight_lr_power
    weight_sum = state["weight_sum"] + weight
    # While the rate has been zero so is the sum, and nothing is averaged yet: c is 0, not 0 / 0.
    c = weight / larger(weight_sum, sys.float_info.min)
    return rate, c, {"step": t, "weight_sum": weight_sum, "lr_max": lr_max}


def z_before(y: Tensor, z: Tensor, t: Any) -> Tensor:
    """Return z before step ``t``; the first starts at y.

    A decay outside the rule may have moved the parameter since its state was made.
    """
    point: Tensor = choose(t == 1, y, z)
    return point


def move(y: Tensor, z: Tensor, u: Tensor, beta: Any, rate: Any, c: Any) -> tuple[Tensor, Tensor]:
    """Return y and z after a step along ``-u``, with the share c of the new z in the average."""
    return y + c * (z - y) + rate * (beta * (1 - c) - 1) * u, z - rate * u


def average(y: Tensor, z: Tensor, beta: float | Tensor) -> Tensor:
    """Return x, of which ``y = (1 - beta) * z + beta * x``."""
    return y + (1 - 1 / beta) * (z - y)


@optimizers.register("schedule_free_sgd")
class ScheduleFreeSGD(RuleOptimizer):
    """Schedule-Free SGD (Defazio et al., 2024): averaging instead of a decreasing rate.

    The parameters hold the points at which gradients are taken; evaluate inside ``with
    optimizer.at_iterate():``. The equations and their source are in
    `optlab.optim.rules.schedule_free_sgd`.
    """

    rule = Rule(
        ScheduleFreeSGDHyper,
        init_state,
        update,
        scalars=("step", "weight_sum", "lr_max"),
        iterate=iterate,
    )
