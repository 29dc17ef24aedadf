"""Nesterov's accelerated gradient: momentum that looks ahead before it measures the slope.

In the notes' form (``lr_in_buffer=True``, the default) the gradient is taken at the point y to
which the velocity alone would carry the iterate w:

    y = w - momentum * v
    v = momentum * v + lr * g(y)
    w = w - v

A training loop takes gradients at the parameters, so the parameter tensor holds **y**. Writing the
next y in terms of this one removes w:

    v = momentum * v + lr * g
    y = y - (lr * g + momentum * v)

and `iterate` gives back w = y + momentum * v, at which the model is to be judged
(``optimizer.at_iterate()``). With torch's velocity (``lr_in_buffer=False``):

    b = momentum * b + g
    y = y - lr * (g + momentum * b)
    w = y + lr * momentum * b

Symbols: beta, mu -> ``momentum``; eta -> ``lr``; y -> ``param``; v or b -> ``momentum_buffer``;
w -> `iterate`.

State: ``momentum_buffer``, shaped like the parameter, zero at first.

Source: Nesterov (1983), A method of solving a convex programming problem with convergence rate
O(1/k^2); Sutskever, Martens, Dahl and Hinton (2013), equations 3 and 4; course notes, row OPT-20
(their formula is unreadable, erratum E27).

Differs from torch: with ``lr_in_buffer=False`` the parameters equal those of
``torch.optim.SGD(nesterov=True)``, which are the look-ahead points; torch cannot give w. If lr or
momentum change, w is taken with their values at the time of the call.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab.optim.rule import NewState, Rule, State
from optlab.optim.rules.momentum import MomentumHyper
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.registry import optimizers


@dataclass(frozen=True)
class NAGHyper(MomentumHyper):
    """Hyperparameters of Nesterov's accelerated gradient; the same as those of momentum.

    Attributes:
        lr: Step length.
        momentum: Share of the velocity that is kept from one step to the next.
        lr_in_buffer: Scale gradients as they enter the velocity (notes) or the velocity as it
            leaves (torch).
    """


def init_state(param: Tensor, hyper: NAGHyper) -> NewState:
    """Return a velocity of zero: the first look-ahead point is the starting point."""
    return {"momentum_buffer": torch.zeros_like(param)}


def update(grad: Tensor, param: Tensor, state: State, hyper: NAGHyper) -> tuple[Tensor, NewState]:
    """Return the look-ahead point and the velocity after one step."""
    if hyper.lr_in_buffer:
        step = hyper.lr * grad
        v = hyper.momentum * state["momentum_buffer"] + step
        return param - (step + hyper.momentum * v), {"momentum_buffer": v}
    b = hyper.momentum * state["momentum_buffer"] + grad
    return param - hyper.lr * (grad + hyper.momentum * b), {"momentum_buffer": b}


def iterate(param: Tensor, state: State, hyper: NAGHyper) -> Tensor:
    """Return Nesterov's iterate w, from which the parameter looks ahead."""
    ahead: Tensor = hyper.momentum * state["momentum_buffer"]
    return param + (ahead if hyper.lr_in_buffer else hyper.lr * ahead)


@optimizers.register("nag")
class NAG(RuleOptimizer):
    """Nesterov's accelerated gradient (1983): momentum with the gradient taken ahead.

    The parameters hold look-ahead points; evaluate inside ``with optimizer.at_iterate():``. The
    equations and their sources are in `optlab.optim.rules.nag`.
    """

    rule = Rule(
        NAGHyper,
        init_state,
        update,
        iterate=iterate,
        torch_group={"dampening": 0, "nesterov": True},
    )
    torch_class = torch.optim.SGD
    elsewhere: ClassVar = {
        "nesterov": "it is this class; leave it out",
        "dampening": "it is left out; torch.optim.SGD has it",
    }
    torch_form: ClassVar = {"lr_in_buffer": False}
