"""Adafactor: squared gradients remembered by row and column, steps relative to the weights.

    t = t + 1
    rho = min(lr, 1 / sqrt(t))
    alpha = max(eps2, rms(w)) * rho
    w = w - lr * weight_decay * w
    b = 1 - t^beta2_decay
    R = b * R + (1 - b) * mean(g * g, over columns)
    C = b * C + (1 - b) * mean(g * g, over rows)
    V = R C / max(mean(R), eps1)
    u = g / max(sqrt(V), eps1)
    w = w - alpha * u / max(1, rms(u) / d)

For a matrix of n rows and m columns R has n numbers and C has m, and V, of rank one, stands for n m
mean squares. Tensors with more axes are stacks of matrices over their last two. Vectors and single
numbers have nothing to factor: ``V = b * V + (1 - b) * g * g``. There is no mean of gradients.
``rms(x)`` is the root of the mean of all x^2; at t = 1, b is 0.

``eps1=None`` is the machine epsilon of the arithmetic, 1.2e-7 in float32 and 2.2e-16 in float64.

Symbols: rho's bound -> ``lr``; tau -> ``beta2_decay``; epsilon1, epsilon2 -> ``eps1``, ``eps2``
(packed as ``eps``); d -> ``d``; X -> w, ``param``; R -> ``row_var``; C -> ``col_var``;
V of a vector -> ``variance``; t -> ``step``.

State: ``step``, 0-d float32; for a parameter of shape (..., n, m) ``row_var`` of shape (..., n, 1)
and ``col_var`` of shape (..., 1, m), otherwise ``variance``, shaped like the parameter; all zero at
first.

Source: Shazeer and Stern (2018), Adafactor: Adaptive Learning Rates with Sublinear Memory Cost
(arXiv 1804.04235), Algorithms 4 and 5.

Differs from torch: equal to ``torch.optim.Adafactor``, but ``eps1=None`` goes by each parameter
(torch takes the first one's dtype for a whole group) and, as float16 and bfloat16 parameters are
updated in float32, by float32's epsilon for those. The paper, T5 and Keras add eps1 (1e-30) to
g * g instead of bounding V and its root; optax factors axes of 128 and more; others add momentum.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor

from optlab.optim.math import as_float64, is_zero, larger, norm, smaller, zero_step
from optlab.optim.regularizers import decay_step
from optlab.optim.rule import Hyper, NewState, Rule, State
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.registry import optimizers
from optlab.types import NonNegative, Range


@dataclass(frozen=True)
class AdafactorHyper(Hyper):
    """Hyperparameters of Adafactor; the defaults are torch's, and the paper's where it has them.

    Attributes:
        lr: Largest length of a step relative to the root mean square of the parameter.
        beta2_decay: Power of the step in the weight of a new squared gradient; at 0 only the last
            one counts.
        eps1: Lower bound of the root of the mean square; None is the dtype's epsilon.
        eps2: Lower bound of the root mean square of the parameter.
        d: Root mean square from which an update is scaled down.
        weight_decay: Decay of the parameters, which are multiplied by ``1 - lr * weight_decay``.
    """

    PACKED: ClassVar[Mapping[str, tuple[str, ...]]] = {"eps": ("eps1", "eps2")}

    lr: NonNegative = 1e-2
    beta2_decay: Annotated[float, Range(high=0.0)] = -0.8
    eps1: NonNegative | None = None
    eps2: NonNegative = 1e-3
    d: Annotated[float, Range(low=1.0)] = 1.0
    weight_decay: NonNegative = 0.0


def init_state(param: Tensor, hyper: AdafactorHyper) -> NewState:
    """Return step 0, and zero mean squares: of rows and of columns where there are both."""
    if param.ndim < 2:
        return {"step": zero_step(), "variance": torch.zeros_like(param)}
    *stack, n, m = param.shape
    rows, columns = param.new_zeros((*stack, n, 1)), param.new_zeros((*stack, 1, m))
    return {"step": zero_step(), "row_var": rows, "col_var": columns}


def update(
    grad: Tensor, param: Tensor, state: State, hyper: AdafactorHyper
) -> tuple[Tensor, NewState]:
    """Return the parameter, the step and the mean squares after one step."""
    t = state["step"] + 1
    eps1 = torch.finfo(param.dtype).eps if hyper.eps1 is None else hyper.eps1
    rho = smaller(hyper.lr, as_float64(t) ** -0.5)
    alpha = larger(rms(param), hyper.eps2) * -rho
    root, squares = root_mean_square(grad, state, as_float64(t) ** hyper.beta2_decay, eps1)
    u = grad / larger(root, eps1)
    # In place on what was made here: fewer tensors of a large matrix's size.
    u *= like(alpha / larger(rms(u, hyper.d), 1.0), u)
    still = is_zero(hyper.weight_decay)
    u += param if still else decay_step(param, hyper.lr, hyper.weight_decay)
    return u, {"step": t, **squares}


def root_mean_square(grad: Tensor, state: State, weight: Any, eps1: Any) -> tuple[Tensor, NewState]:
    """Return the root of the mean of squared gradients, shaped like ``grad``, and what is kept.

    The root of a product of rows and columns is the product of their roots, which are few.
    """
    square = (grad * grad).contiguous()
    if grad.ndim < 2:
        v = toward(state["variance"], square, weight)
        return v.sqrt(), {"variance": v}
    n, m = (max(size, 1) for size in grad.shape[-2:])
    r = toward(state["row_var"], square.sum(dim=-1, keepdim=True) / m, weight)
    c = toward(state["col_var"], square.sum(dim=-2, keepdim=True) / n, weight)
    del square
    share = r / larger(r.sum(dim=-2, keepdim=True) / n, eps1)
    return share.sqrt() * c.sqrt(), {"row_var": r, "col_var": c}


def like(number: Any, tensor: Tensor) -> Any:
    """Return a number as a tensor's dtype, if it is a tensor itself."""
    other = isinstance(number, Tensor) and number.dtype != tensor.dtype
    return number.to(tensor.dtype) if other else number


def toward(average: Tensor, value: Tensor, weight: Any) -> Tensor:
    """Return ``(1 - weight) * average + weight * value``, precise for small weights."""
    return torch.lerp(average, value, like(weight, average))


def rms(x: Tensor, unit: Any = 1.0) -> Tensor:
    """Return the root of the mean square of all elements in units, 0-d; 0 for an empty tensor."""
    root: Tensor = norm(x) / (math.sqrt(max(x.numel(), 1)) * unit)
    return root


@optimizers.register("adafactor")
class Adafactor(RuleOptimizer):
    """Adafactor (Shazeer and Stern, 2018): Adam's scaling from row and column means alone.

    The equations and their source are in `optlab.optim.rules.adafactor`.
    """

    rule = Rule(AdafactorHyper, init_state, update, elementwise=False)
    torch_class = torch.optim.Adafactor
