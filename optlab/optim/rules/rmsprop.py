"""RMSprop: Adagrad that forgets, so that its rate can recover.

    v = alpha * v + (1 - alpha) * g * g
    w = w - lr * g / (sqrt(v) + eps)

``eps_placement="inside"`` divides by ``sqrt(v + eps)`` instead. The average begins at zero and is
not corrected for it, so the first step is ``lr / sqrt(1 - alpha)``: 10 lr at alpha = 0.99. (For
the corrected form take Adam with ``beta1 = 0``.)

Symbols: the notes' alpha, the learning rate -> ``lr``; the notes' beta -> ``alpha`` (torch's name);
v -> ``square_avg``.

State: ``step``, 0-d float32, which the rule only counts, as torch does; ``square_avg``, shaped like
the parameter, zero at first.

Source: Tieleman and Hinton (2012), Neural Networks for Machine Learning, lecture 6.5; course notes,
row OPT-26 (printed there under the name of Adam, its update line lost: erratum E10) and E12.

Differs from torch: equal to ``torch.optim.RMSprop`` with eps outside; torch's ``centered`` and
``momentum`` are not in the notes and left out. Keras: rho 0.9, eps 1e-7, inside.
"""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab.optim.math import EpsPlacement, ema, root, zero_step
from optlab.optim.rule import Hyper, NewState, Rule, State
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.registry import optimizers
from optlab.types import Decay, NonNegative


@dataclass(frozen=True)
class RMSpropHyper(Hyper):
    """Hyperparameters of RMSprop; the defaults are torch's.

    Attributes:
        lr: Step length before division by the root of the average.
        alpha: Decay of the average of squared gradients.
        eps: Keeps the divisor from zero.
        eps_placement: Add eps to the root (``outside``) or under it (``inside``).
    """

    lr: NonNegative = 1e-2
    alpha: Decay = 0.99
    eps: NonNegative = 1e-8
    _: KW_ONLY
    eps_placement: EpsPlacement = "outside"


def init_state(param: Tensor, hyper: RMSpropHyper) -> NewState:
    """Return step 0 and an average of zero."""
    return {"step": zero_step(), "square_avg": torch.zeros_like(param)}


def update(
    grad: Tensor, param: Tensor, state: State, hyper: RMSpropHyper
) -> tuple[Tensor, NewState]:
    """Return the parameter, the step and the average of squares after one step."""
    v = ema(state["square_avg"], grad * grad, hyper.alpha)
    denominator = root(v, hyper.eps, hyper.eps_placement)
    return param - hyper.lr * grad / denominator, {"step": state["step"] + 1, "square_avg": v}


@optimizers.register("rmsprop")
class RMSprop(RuleOptimizer):
    """RMSprop (Tieleman and Hinton, 2012): rates set by recent squared gradients.

    The equations and their source are in `optlab.optim.rules.rmsprop`.
    """

    rule = Rule(RMSpropHyper, init_state, update, torch_group={"momentum": 0, "centered": False})
    torch_class = torch.optim.RMSprop
    torch_form: ClassVar = {"eps_placement": "outside"}
