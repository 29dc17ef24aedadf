"""Momentum: a ball with inertia that rolls down the loss (Polyak's heavy ball).

The notes keep the learning rate inside the velocity (``lr_in_buffer=True``, the default):

    v = momentum * v + lr * g
    w = w - v

torch keeps it outside (``lr_in_buffer=False``):

    b = momentum * b + g
    w = w - lr * b

With a constant lr the two walk the same path, ``v = lr * b``. After a change of lr they part: the
notes' velocity still carries steps of the old length, torch's is rescaled at once.

Symbols: beta -> ``momentum``; eta -> ``lr``; v or b -> ``momentum_buffer``.

State: ``momentum_buffer``, shaped like the parameter, zero at first.

Source: Polyak (1964), Some methods of speeding up the convergence of iteration methods; Sutskever,
Martens, Dahl and Hinton (2013), equations 1 and 2; course notes, row OPT-15 and erratum E27.

Differs from torch: ``lr_in_buffer=False`` equals ``torch.optim.SGD(lr, momentum)``; torch's
dampening is left out. Keras is the notes' form. Some libraries average with ``(1 - momentum) * g``;
neither the notes nor torch do.
"""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab.optim.rule import Hyper, NewState, Rule, State
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.registry import optimizers
from optlab.types import Decay, NonNegative


@dataclass(frozen=True)
class MomentumHyper(Hyper):
    """Hyperparameters of momentum. The notes give 0.9; the default lr is torch's.

    Attributes:
        lr: Step length.
        momentum: Share of the velocity that is kept from one step to the next.
        lr_in_buffer: Scale gradients as they enter the velocity (notes) or the velocity as it
            leaves (torch).
    """

    lr: NonNegative = 1e-3
    momentum: Decay = 0.9
    _: KW_ONLY
    lr_in_buffer: bool = True


def init_state(param: Tensor, hyper: MomentumHyper) -> NewState:
    """Return a velocity of zero."""
    return {"momentum_buffer": torch.zeros_like(param)}


def update(
    grad: Tensor, param: Tensor, state: State, hyper: MomentumHyper
) -> tuple[Tensor, NewState]:
    """Return the parameter and the velocity after one step."""
    if hyper.lr_in_buffer:
        v = hyper.momentum * state["momentum_buffer"] + hyper.lr * grad
        return param - v, {"momentum_buffer": v}
    b = hyper.momentum * state["momentum_buffer"] + grad
    return param - hyper.lr * b, {"momentum_buffer": b}


@optimizers.register("momentum")
class Momentum(RuleOptimizer):
    """Momentum (Polyak, 1964): gradient descent with a velocity that decays.

    The equations and their sources are in `optlab.optim.rules.momentum`.
    """

    rule = Rule(MomentumHyper, init_state, update, torch_group={"dampening": 0, "nesterov": False})
    torch_class = torch.optim.SGD
    elsewhere: ClassVar = {
        "nesterov": "use optlab.optim.NAG",
        "dampening": "it is left out; torch.optim.SGD has it",
    }
    torch_form: ClassVar = {"lr_in_buffer": False}
