"""Gradient descent: a step of fixed length against the gradient.

    w = w - lr * g

Batch, stochastic and mini-batch descent are this one rule. They differ in the rows over which the
mean gradient ``g`` is taken (all, one, or k), which is the sampler's choice, not the rule's: the
rule has three names, whose files ``configs/optimizer/batch_gd.yaml``, ``sgd.yaml`` and
``minibatch_gd.yaml`` also set the batch size.

Symbols: eta, alpha -> ``lr``; dL/dw -> ``grad``; w -> ``param``.

State: none.

Source: Robbins and Monro (1951), A Stochastic Approximation Method; course notes, rows OPT-02,
OPT-03, OPT-07 and OPT-11.

Differs from torch: equal to ``torch.optim.SGD(lr)`` to the last rounding (torch rounds ``lr * g``
and the sum together; bit for bit where lr is a power of two). Its momentum and nesterov options are
rules of their own here (`optlab.optim.rules.momentum`, `optlab.optim.rules.nag`); its dampening is
not in the notes. The notes' loss ``1/2 sum (y - y_hat)^2`` is a sum with a half, so their lr is
that of a mean squared error times n / 2 (erratum E33).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab.optim.rule import Hyper, NewState, Rule, State
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.registry import optimizers
from optlab.types import NonNegative


@dataclass(frozen=True)
class SGDHyper(Hyper):
    """Hyperparameters of gradient descent; the default is torch's.

    Attributes:
        lr: Step length.
    """

    lr: NonNegative = 1e-3


def init_state(param: Tensor, hyper: SGDHyper) -> NewState:
    """Return the empty state: gradient descent remembers nothing."""
    return {}


def update(grad: Tensor, param: Tensor, state: State, hyper: SGDHyper) -> tuple[Tensor, NewState]:
    """Return the parameter after one step, and the empty state."""
    return param - hyper.lr * grad, {}


@optimizers.register("batch_gd")
@optimizers.register("sgd")
@optimizers.register("minibatch_gd")
class SGD(RuleOptimizer):
    """Gradient descent: a step against the gradient of all rows, one row or a few.

    The equation and its source are in `optlab.optim.rules.sgd`.
    """

    rule = Rule(
        SGDHyper,
        init_state,
        update,
        torch_group={"momentum": 0, "dampening": 0, "nesterov": False},
    )
    torch_class = torch.optim.SGD
    elsewhere: ClassVar = {
        "momentum": "use optlab.optim.Momentum (lr_in_buffer=False for torch's form)",
        "nesterov": "use optlab.optim.NAG (lr_in_buffer=False for torch's form)",
        "dampening": "it is left out; torch.optim.SGD has it",
    }
