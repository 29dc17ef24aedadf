"""Small formulas compiled for tests: ``new_param = f(grad, param, number)``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from optlab.optim import Hyper, Rule
from optlab.optim.fast.kernel import Kernel, kernel_for
from optlab.optim.fast.table import Table
from optlab.optim.groups import GradientOptions
from optlab.types import Real

Formula = Callable[[Tensor, Tensor, Any], Tensor]


@dataclass(frozen=True)
class Number(Hyper):
    """One number.

    Attributes:
        lr: The number.
    """

    lr: Real = 0.5


def rule_of(formula: Formula) -> Rule:
    def update(grad: Tensor, param: Tensor, state: Any, hyper: Number) -> Any:
        return formula(grad, param, hyper.lr), {}

    return Rule(Number, lambda param, hyper: {}, update, scalars=())


def kernel_of(formula: Formula, dtype: torch.dtype = torch.float32) -> Kernel:
    return kernel_for(rule_of(formula), Number(), GradientOptions(), torch.ones(1, dtype=dtype), {})


def compiled(formula: Formula, grad: Tensor, param: Tensor, number: float = 0.5) -> Tensor:
    """Return ``formula(grad, param, number)`` as a kernel computes it."""
    new = param.clone()
    new.grad = grad
    table = Table(kernel_of(formula, param.dtype), [new], [{}])
    assert table.gather() == []
    table.step([number, 0.0])
    return new
