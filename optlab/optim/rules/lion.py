"""Lion: the sign of a momentum, and a second, slower decay for what is remembered of it.

    w = (1 - lr * weight_decay) * w
    w = w - lr * sign(beta1 * m + (1 - beta1) * g)
    m = beta2 * m + (1 - beta2) * g

The mean that gives the direction (beta1) is fresher than the one that is kept (beta2). Every
element moves by lr in every step, whatever its gradient, so lr is best about a tenth of Adam's, and
``weight_decay`` ten times its own. A mean of exactly zero moves nothing. There is no eps, no
correction and no counter, and only one average.

Symbols: eta -> ``lr``; b1, b2 -> ``beta1``, ``beta2`` (``betas``); lambda -> ``weight_decay``;
m -> ``exp_avg``.

State: ``exp_avg``, shaped like the parameter, zero at first.

Source: Chen et al. (2023), Symbolic Discovery of Optimization Algorithms, Algorithm 2.

Differs from others: torch has no Lion. Equal to the paper authors' and to pytorch_optimizer's.
Keras has lr 1e-3; optax a ``weight_decay`` of 1e-3.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab.optim.math import ema
from optlab.optim.regularizers import decay_step
from optlab.optim.rule import Hyper, NewState, Rule, State
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.registry import optimizers
from optlab.types import Decay, NonNegative


@dataclass(frozen=True)
class LionHyper(Hyper):
    """Hyperparameters of Lion; the defaults are the paper's.

    Attributes:
        lr: Length of every element's step.
        beta1: Decay of the mean whose sign is taken.
        beta2: Decay of the mean that is kept.
        weight_decay: Decay of the parameters per unit of lr.
    """

    PACKED: ClassVar[Mapping[str, tuple[str, ...]]] = {"betas": ("beta1", "beta2")}

    lr: NonNegative = 1e-4
    beta1: Decay = 0.9
    beta2: Decay = 0.99
    weight_decay: NonNegative = 0.0


def init_state(param: Tensor, hyper: LionHyper) -> NewState:
    """Return an average of zero."""
    return {"exp_avg": torch.zeros_like(param)}


def update(grad: Tensor, param: Tensor, state: State, hyper: LionHyper) -> tuple[Tensor, NewState]:
    """Return the parameter and the average after one step."""
    direction = ema(state["exp_avg"], grad, hyper.beta1).sign()
    point = decay_step(param, hyper.lr, hyper.weight_decay)
    return point - hyper.lr * direction, {"exp_avg": ema(state["exp_avg"], grad, hyper.beta2)}


@optimizers.register("lion")
class Lion(RuleOptimizer):
    """Lion (Chen et al., 2023): the sign of a momentum; every element moves by lr.

    The equations and their source are in `optlab.optim.rules.lion`.
    """

    rule = Rule(LionHyper, init_state, update)
