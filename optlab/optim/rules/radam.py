"""RAdam: Adam that waits with its divisor until the mean of squares can be trusted.

    t = t + 1
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    m_hat = m / (1 - beta1^t)
    rho = rho_inf - 2 * t * beta2^t / (1 - beta2^t)        with rho_inf = 2 / (1 - beta2) - 1
    if rho > 5:
        r = sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
        w = w - lr * m_hat * r * sqrt(1 - beta2^t) / (sqrt(v) + eps)
    else:
        w = w - lr * m_hat

rho is the number of gradients that v amounts to. While they are few, the divisor's variance is
large (for rho <= 4 infinite) and the step is one of momentum, as long as the gradient; later r, a
warm-up of its own, rises from 0 to 1. At beta2 = 0.999 five steps are plain; at beta2 <= 2/3 all
are. eps is added before the correction of v ("epsilon hat").

Symbols: alpha -> ``lr``; b1, b2 -> ``beta1``, ``beta2`` (torch: ``betas``); m -> ``exp_avg``;
v -> ``exp_avg_sq``; rho and r -> `optlab.optim.math.rectification`; t -> ``step``.

State: ``step``, 0-d float32; ``exp_avg`` and ``exp_avg_sq``, shaped like the parameter, zero at
first.

Source: Liu et al. (2020), On the Variance of the Adaptive Learning Rate and Beyond, Algorithm 2,
with the authors' code: the bound is 5, not 4, and eps is there.

Differs from torch: equal to ``torch.optim.RAdam``. pytorch_optimizer's RAdam leaves out the plain
steps unless told otherwise; optax's bound is ``rho >= 5`` and its eps comes after the correction.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab.optim.math import bias_correction, choose, ema, rectification, zero_step
from optlab.optim.rule import Hyper, NewState, Rule, State
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.registry import optimizers
from optlab.types import Decay, NonNegative


@dataclass(frozen=True)
class RAdamHyper(Hyper):
    """Hyperparameters of RAdam; the defaults are the paper's and torch's.

    Attributes:
        lr: Step length, of plain steps per unit of gradient.
        beta1: Decay of the mean of gradients.
        beta2: Decay of the mean of squared gradients; decides how many steps are plain.
        eps: Keeps the divisor from zero.
    """

    PACKED: ClassVar[Mapping[str, tuple[str, ...]]] = {"betas": ("beta1", "beta2")}

    lr: NonNegative = 1e-3
    beta1: Decay = 0.9
    beta2: Decay = 0.999
    eps: NonNegative = 1e-8


def init_state(param: Tensor, hyper: RAdamHyper) -> NewState:
    """Return step 0 and two averages of zero."""
    mean, square = torch.zeros_like(param), torch.zeros_like(param)
    return {"step": zero_step(), "exp_avg": mean, "exp_avg_sq": square}


def update(grad: Tensor, param: Tensor, state: State, hyper: RAdamHyper) -> tuple[Tensor, NewState]:
    """Return the parameter, the step and both averages after one step."""
    t = state["step"] + 1
    m = ema(state["exp_avg"], grad, hyper.beta1)
    v = ema(state["exp_avg_sq"], grad * grad, hyper.beta2)
    lr = hyper.lr / bias_correction(hyper.beta1, t)
    r = rectification(hyper.beta2, t)
    rate = r * bias_correction(hyper.beta2, t) ** 0.5 / (v.sqrt() + hyper.eps)
    return param - lr * m * choose(r > 0, rate, 1.0), {"step": t, "exp_avg": m, "exp_avg_sq": v}


@optimizers.register("radam")
class RAdam(RuleOptimizer):
    """RAdam (Liu et al., 2020): Adam whose divisor waits until it can be trusted.

    The equations and their source are in `optlab.optim.rules.radam`.
    """

    #: Steps at the default beta2 that are not yet divided by the root, and so not free of the scale
    #: of the gradients.
    plain_steps: ClassVar = 5
    rule = Rule(RAdamHyper, init_state, update)
    torch_class = torch.optim.RAdam
