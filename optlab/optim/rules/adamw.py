"""AdamW: Adam beside a decay of the parameters that its divisor does not touch.

    w = (1 - lr * weight_decay) * w
    w = Adam's step from there, on the gradient g alone

A decay that is added to the gradient is divided by ``sqrt(v_hat)`` with it, so that parameters with
large gradients hardly decay; here all of them shrink by the same factor. The maths of the step, its
state and its forms are those of `optlab.optim.rules.adam`.

Symbols: alpha, eta -> ``lr``; lambda -> ``weight_decay``; the rest as in Adam.

State: as Adam's.

Source: Loshchilov and Hutter (2019), Decoupled Weight Decay Regularization, Algorithm 2, in the
form of torch and most others: lr multiplies the decay. (The paper's schedule factor eta_t
multiplies both, its step size alpha only the step; the paper's lambda is ``lr * weight_decay``.)

Differs from torch: equal to ``torch.optim.AdamW``. optax's ``weight_decay`` is 1e-4, Keras's 4e-3.
The regularizer's ``decay`` is the same step for any rule, on weights only; this is on every
parameter of the group.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab.optim.regularizers import decay_step
from optlab.optim.rule import NewState, Rule, State
from optlab.optim.rules import adam
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.registry import optimizers
from optlab.types import NonNegative


@dataclass(frozen=True)
class AdamWHyper(adam.AdamHyper):
    """Hyperparameters of AdamW; the defaults are torch's.

    Attributes:
        lr: Step length; the first step moves every element by it (decay and eps aside).
        beta1: Decay of the mean of gradients.
        beta2: Decay of the mean of squared gradients.
        eps: Keeps the divisor from zero.
        weight_decay: Decay of the parameters per unit of lr.
        eps_placement: Add eps to the root (``outside``) or under it (``inside``).
        bias_correction: Divide both means by the sum of their weights.
        amsgrad: Divide by the largest mean of squares so far, not by the last.
    """

    weight_decay: NonNegative = 1e-2


def update(grad: Tensor, param: Tensor, state: State, hyper: AdamWHyper) -> tuple[Tensor, NewState]:
    """Return the parameter, the step and the averages after one step."""
    return adam.update(grad, decay_step(param, hyper.lr, hyper.weight_decay), state, hyper)


@optimizers.register("adamw")
class AdamW(RuleOptimizer):
    """AdamW (Loshchilov and Hutter, 2019): Adam with a decay that is not part of the gradient.

    The equations and their source are in `optlab.optim.rules.adamw`.
    """

    rule = Rule(AdamWHyper, adam.init_state, update, torch_group={"decoupled_weight_decay": True})
    torch_class = torch.optim.AdamW
    torch_form: ClassVar = adam.Adam.torch_form
