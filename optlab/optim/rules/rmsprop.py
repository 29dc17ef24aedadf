"""RMSprop: Adagrad that forgets, so that its rate can recover.

    v = alpha * v + (1 - alpha) * g * g
    w = w - lr * g / (sqrt(v) + eps)

The average begins at zero and is not corrected for it, so the first step is ``lr / sqrt(1 -
alpha)``: 10 lr at alpha = 0.99. No later step is longer, since v is never below (1 - alpha) g^2.
(For the corrected form take Adam with ``beta1 = 0``.) Options:

- ``eps_placement="inside"`` divides by ``sqrt(v + eps)``.
- ``momentum`` accumulates the quotients: ``b = momentum * b + g / (sqrt(v) + eps)``, ``w -= lr b``.
- ``centered=True`` divides by the root of a variance in place of v:

      m = alpha * m + (1 - alpha) * g
      s = max(v - m * m, alpha * (1 - alpha) * g * g / 4)

The variance of a steady gradient goes to zero, and without the maximum the step goes to ``lr * g /
eps``. Its second term is a quarter of the variance at the first step, so that no step is longer
than twice the first, ``lr / sqrt(alpha * (1 - alpha))``. It takes over only where g differs from
the mean by less than half of itself; elsewhere v - m * m is at least v / (1 + 9 / (alpha * (1 -
alpha))), so that the subtraction loses no more than three digits at alpha = 0.99, whatever the
gradients. (alpha must be positive here: one gradient has no variance.)

Symbols: the notes' alpha, the learning rate -> ``lr``; the notes' beta -> ``alpha`` (torch's name);
v -> ``square_avg``; m -> ``grad_avg``; b -> ``momentum_buffer``.

State: ``step``, 0-d float32, which the rule only counts, as torch does; shaped like the parameter
and zero at first ``square_avg``, with ``centered`` ``grad_avg``, and ``momentum_buffer`` unless
momentum is 0.

Source: Tieleman and Hinton (2012), Neural Networks for Machine Learning, lecture 6.5; course notes,
row OPT-26 (printed there under the name of Adam, its update line lost: erratum E10) and E12.
Centered, with momentum: Graves (2013), Generating Sequences With Recurrent Neural Networks,
equations 38 to 41 (his eps of 1e-4 stands under the root).

Differs from torch: equal to ``torch.optim.RMSprop`` with eps outside, and its states are the same.
Centered, torch has no maximum: on a constant gradient of 1 and from w = 1, 3000 steps of lr 1e-3
and alpha 0.99 end at -1118 in float32 and at -691,236 in float64; here at -51. Keras: rho 0.9, eps
1e-7, inside, and lr inside the momentum buffer.
"""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab.optim.math import EpsPlacement, Number, ema, is_zero, root, zero_step
from optlab.optim.rule import Hyper, NewState, Rule, State
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.registry import optimizers
from optlab.types import Decay, NonNegative


@dataclass(frozen=True)
class RMSpropHyper(Hyper):
    """Hyperparameters of RMSprop; the defaults are torch's.

    Attributes:
        lr: Step length before division by the root of the average.
        alpha: Decay of the average of squared gradients, and of the mean of gradients.
        eps: Keeps the divisor from zero.
        momentum: Share of the sum of past quotients that is kept from one step to the next.
        eps_placement: Add eps to the root (``outside``) or under it (``inside``).
        centered: Divide by the root of the variance of gradients, not of their mean square.
    """

    lr: NonNegative = 1e-2
    alpha: Decay = 0.99
    eps: NonNegative = 1e-8
    _: KW_ONLY
    momentum: Decay = 0.0
    eps_placement: EpsPlacement = "outside"
    centered: bool = False


def init_state(param: Tensor, hyper: RMSpropHyper) -> NewState:
    """Return step 0 and averages of zero; those that the options need."""
    kept = ["square_avg"] + ["grad_avg"] * hyper.centered
    # `update` goes by the state: a stack of runs with momenta of their own is begun with them.
    kept += ["momentum_buffer"] * (not is_zero(hyper.momentum))
    return {"step": zero_step(), **{name: torch.zeros_like(param) for name in kept}}


def update(
    grad: Tensor, param: Tensor, state: State, hyper: RMSpropHyper
) -> tuple[Tensor, NewState]:
    """Return the parameter, the step and the averages after one step."""
    v = ema(state["square_avg"], grad * grad, hyper.alpha)
    new = {"step": state["step"] + 1, "square_avg": v}
    if hyper.centered:
        new["grad_avg"] = ema(state["grad_avg"], grad, hyper.alpha)
        v = variance(v, new["grad_avg"], grad, hyper.alpha)
    step = grad / root(v, hyper.eps, hyper.eps_placement)
    if "momentum_buffer" in state:
        step = new["momentum_buffer"] = hyper.momentum * state["momentum_buffer"] + step
    return param - hyper.lr * step, new


def variance(square: Tensor, mean: Tensor, grad: Tensor, alpha: Number) -> Tensor:
    """Return the variance of gradients, at least ``alpha * (1 - alpha) * grad^2 / 4``.

    Args:
        square: Average of squared gradients, the last one among them.
        mean: Average of gradients, the last one among them.
        grad: Last gradient.
        alpha: Decay of both averages.
    """
    return torch.maximum(square - mean * mean, alpha * (1 - alpha) / 4 * (grad * grad))


@optimizers.register("rmsprop")
class RMSprop(RuleOptimizer):
    """RMSprop (Tieleman and Hinton, 2012): rates set by recent squared gradients.

    The equations and their source are in `optlab.optim.rules.rmsprop`.
    """

    rule = Rule(RMSpropHyper, init_state, update)
    torch_class = torch.optim.RMSprop
    torch_form: ClassVar = {"eps_placement": "outside"}
