"""Adamax: Adam with the largest recent gradient in place of the root mean square.

    t = t + 1
    m = beta1 * m + (1 - beta1) * g
    u = max(beta2 * u, |g| + eps)
    w = w - lr / (1 - beta1^t) * m / u

Adam's root of a mean of squares is a 2-norm of past gradients; this is its limit for p to infinity,
``u_t = max over i of beta2^(t - i) |g_i|``. A maximum that begins at zero needs no correction, and
no step is longer than about lr.

Symbols: alpha -> ``lr``; b1, b2 -> ``beta1``, ``beta2`` (torch: ``betas``); m -> ``exp_avg``;
u -> ``exp_inf``; t -> ``step``.

State: ``step``, 0-d float32; ``exp_avg`` and ``exp_inf``, shaped like the parameter, zero at first.

Source: Kingma and Ba (2015), section 7.1 and Algorithm 2, which has no eps.

Differs from torch: equal to ``torch.optim.Adamax``. Keras has lr 1e-3 and divides by ``u + eps``;
here, as in torch, eps enters the maximum.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab.optim.math import bias_correction, ema, zero_step
from optlab.optim.rule import Hyper, NewState, Rule, State
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.registry import optimizers
from optlab.types import Decay, NonNegative


@dataclass(frozen=True)
class AdamaxHyper(Hyper):
    """Hyperparameters of Adamax; the defaults are the paper's, with torch's eps.

    Attributes:
        lr: Step length; the first step moves every element by it (eps aside).
        beta1: Decay of the mean of gradients.
        beta2: Decay of the largest gradient.
        eps: Keeps the divisor from zero; added to each gradient's size.
    """

    PACKED: ClassVar[Mapping[str, tuple[str, ...]]] = {"betas": ("beta1", "beta2")}

    lr: NonNegative = 2e-3
    beta1: Decay = 0.9
    beta2: Decay = 0.999
    eps: NonNegative = 1e-8


def init_state(param: Tensor, hyper: AdamaxHyper) -> NewState:
    """Return step 0, an average and a norm of zero."""
    mean, norm = torch.zeros_like(param), torch.zeros_like(param)
    return {"step": zero_step(), "exp_avg": mean, "exp_inf": norm}


def update(
    grad: Tensor, param: Tensor, state: State, hyper: AdamaxHyper
) -> tuple[Tensor, NewState]:
    """Return the parameter, the step, the average and the norm after one step."""
    t = state["step"] + 1
    m = ema(state["exp_avg"], grad, hyper.beta1)
    u = torch.maximum(hyper.beta2 * state["exp_inf"], grad.abs() + hyper.eps)
    lr = hyper.lr / bias_correction(hyper.beta1, t)
    return param - lr * m / u, {"step": t, "exp_avg": m, "exp_inf": u}


@optimizers.register("adamax")
class Adamax(RuleOptimizer):
    """Adamax (Kingma and Ba, 2015): the mean of recent gradients over the largest of them.

    The equations and their source are in `optlab.optim.rules.adamax`.
    """

    rule = Rule(AdamaxHyper, init_state, update)
    torch_class = torch.optim.Adamax
