"""Adadelta: steps in the unit of the parameters, so that no learning rate has to be found.

    v = rho * v + (1 - rho) * g * g
    d = sqrt(a + eps) / sqrt(v + eps) * g
    a = rho * a + (1 - rho) * d * d
    w = w - lr * d

The root mean square of past steps stands where other methods have a learning rate: d has the unit
of w, whatever the unit of the loss. eps is more than a guard here: a begins at zero, so eps sets
the size of the first step, ``sqrt(eps / (1 - rho))``, from which the others grow.

Symbols: v, E[g^2] -> ``square_avg``; a, E[dx^2] -> ``acc_delta``; d is the paper's -dx.

State: ``step``, 0-d float32, which the rule only counts, as torch does; ``square_avg`` and
``acc_delta``, shaped like the parameter, zero at first.

Source: Zeiler (2012), ADADELTA: An Adaptive Learning Rate Method, Algorithm 1. The paper has no lr;
its method is ``lr = 1``.

Differs from torch: equal to ``torch.optim.Adadelta``. Keras: lr 1e-3, rho 0.95, eps 1e-7.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from optlab.optim.math import ema, root, zero_step
from optlab.optim.rule import Hyper, NewState, Rule, State
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.registry import optimizers
from optlab.types import Decay, NonNegative


@dataclass(frozen=True)
class AdadeltaHyper(Hyper):
    """Hyperparameters of Adadelta; the defaults are torch's.

    Attributes:
        lr: Factor of the step; 1 is the paper's method.
        rho: Decay of both averages of squares.
        eps: Added under both roots; sets the size of the first steps.
    """

    lr: NonNegative = 1.0
    rho: Decay = 0.9
    eps: NonNegative = 1e-6


def init_state(param: Tensor, hyper: AdadeltaHyper) -> NewState:
    """Return step 0 and two averages of zero."""
    square, delta = torch.zeros_like(param), torch.zeros_like(param)
    return {"step": zero_step(), "square_avg": square, "acc_delta": delta}


def update(
    grad: Tensor, param: Tensor, state: State, hyper: AdadeltaHyper
) -> tuple[Tensor, NewState]:
    """Return the parameter, the step and both averages after one step."""
    v = ema(state["square_avg"], grad * grad, hyper.rho)
    d = root(state["acc_delta"], hyper.eps, "inside") / root(v, hyper.eps, "inside") * grad
    a = ema(state["acc_delta"], d * d, hyper.rho)
    return param - hyper.lr * d, {"step": state["step"] + 1, "square_avg": v, "acc_delta": a}


@optimizers.register("adadelta")
class Adadelta(RuleOptimizer):
    """Adadelta (Zeiler, 2012): the size of past steps stands in for a learning rate.

    The equations and their source are in `optlab.optim.rules.adadelta`.
    """

    rule = Rule(AdadeltaHyper, init_state, update)
    torch_class = torch.optim.Adadelta
