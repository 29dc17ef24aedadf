"""Adagrad: every coordinate has its own rate, which shrinks with the gradients it has seen.

    G = G + g * g
    w = w - lr_t * g / (sqrt(G) + eps)        with lr_t = lr / (1 + (t - 1) * lr_decay)

``eps_placement="inside"`` divides by ``sqrt(G + eps)`` instead. On a constant gradient the t-th
step is ``lr / sqrt(t)``: the rate never recovers (course notes, row OPT-24).

Symbols: alpha, eta -> ``lr``; G (alpha_t in the notes' second form) -> ``sum``; t -> ``step``.

State: ``step``, 0-d float32; ``sum``, shaped like the parameter, first
``initial_accumulator_value``.

Source: Duchi, Hazan and Singer (2011), Adaptive Subgradient Methods, the diagonal form of
Algorithm 1, whose delta is added to the root; course notes, row OPT-22 and erratum E12 (as printed
there, eps is added to the quotient, which cannot be meant).

Differs from torch: equal to ``torch.optim.Adagrad`` with eps outside; here a parameter group's own
``initial_accumulator_value`` is used, which torch ignores. Keras has eps inside (1e-7), starts
``sum`` at 0.1 and has no ``lr_decay``, which is torch's addition and not in the notes.
"""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab.optim.math import EpsPlacement, as_float64, root, zero_step
from optlab.optim.rule import Hyper, NewState, Rule, State
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.registry import optimizers
from optlab.types import NonNegative


@dataclass(frozen=True)
class AdagradHyper(Hyper):
    """Hyperparameters of Adagrad; the defaults are torch's.

    Attributes:
        lr: Step length before division by the root of the sum.
        lr_decay: Growth per step of the divisor of lr.
        eps: Keeps the divisor from zero.
        eps_placement: Add eps to the root (``outside``) or under it (``inside``).
        initial_accumulator_value: First value of the sum.
    """

    lr: NonNegative = 1e-2
    lr_decay: NonNegative = 0.0
    _: KW_ONLY
    eps: NonNegative = 1e-10
    eps_placement: EpsPlacement = "outside"
    initial_accumulator_value: NonNegative = 0.0


def init_state(param: Tensor, hyper: AdagradHyper) -> NewState:
    """Return step 0 and the initial sum of squares."""
    total = torch.zeros_like(param) + hyper.initial_accumulator_value
    return {"step": zero_step(), "sum": total}


def update(
    grad: Tensor, param: Tensor, state: State, hyper: AdagradHyper
) -> tuple[Tensor, NewState]:
    """Return the parameter, the step and the sum of squares after one step."""
    t = state["step"] + 1
    lr = hyper.lr / (1 + as_float64(t - 1) * hyper.lr_decay)
    total = state["sum"] + grad * grad
    denominator = root(total, hyper.eps, hyper.eps_placement)
    return param - lr * grad / denominator, {"step": t, "sum": total}


@optimizers.register("adagrad")
class Adagrad(RuleOptimizer):
    """Adagrad (Duchi et al., 2011): rates that shrink with the sum of squared gradients.

    The equations and their source are in `optlab.optim.rules.adagrad`.
    """

    rule = Rule(AdagradHyper, init_state, update)
    torch_class = torch.optim.Adagrad
    torch_form: ClassVar = {"eps_placement": "outside"}
