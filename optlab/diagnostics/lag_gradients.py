"""How far back in time a gradient reaches: norm of dL/dx(t) by lag (rows RNN-13 and LST-05).

Shapes: batch B, time T, features F. The lag of step t is T - t: 0 for the last step.
"""

# ruff: noqa: D102 - overrides carry no docstring; their contract stands on the base class

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from optlab.config import ConfigError
from optlab.diagnostics.quantity import Call, Quantity, when_differentiated
from optlab.diagnostics.undisturbed import undisturbed

#: Lags that are recorded, as far as sequences reach.
LAGS = (0, 1, 2, 5, 10, 20, 50, 100)


def gradient_by_lag(
    module: nn.Module, x: Tensor, loss: Callable[[Tensor], Tensor], time_axis: int = 1
) -> Tensor:
    """Return the norm of dL/dx(t) over rows and features; entry k is for lag k, shape (T,).

    Args:
        module: Maps ``x`` to what ``loss`` takes; it is left as it was.
        x: Inputs (B, T, F), or another shape with time on ``time_axis``.
        loss: ``output -> ()``. A loss of the last output alone shows the way back of one error; a
            loss of all steps sums the ways of all errors after t.
        time_axis: Where time stands in ``x``.

    Raises:
        ConfigError: When ``x`` holds integers: a token has no gradient, its embedding has.
    """
    if not x.is_floating_point():
        raise ConfigError(
            f"x must be floating, got {x.dtype}: there is no gradient with respect to tokens; "
            "pass the part of the model after its embedding, and embedded inputs"
        )
    x = x.detach().requires_grad_()
    with undisturbed(module), torch.enable_grad():
        (gradient,) = torch.autograd.grad(loss(module(x)), x)
    return norms_by_lag(gradient, time_axis)


def norms_by_lag(gradient: Tensor, time_axis: int) -> Tensor:
    """Return the norm of a gradient's part at each lag, shape (T,), float64."""
    steps = gradient.detach().movedim(time_axis, 0).flatten(1)
    norms: Tensor = torch.linalg.vector_norm(steps, dim=1, dtype=torch.float64)
    return norms.flip(0)


def is_recurrent(module: nn.Module) -> bool:
    """Return whether a module is a recurrent layer over time, by torch's names of its parts."""
    weights = (name.startswith("weight_hh") for name in module._parameters)
    return hasattr(module, "batch_first") and any(weights)


class LagGradients(Quantity):
    """Records ``lag_gradient/<k>`` for `LAGS`: norm of the loss's gradient k steps before the end.

    It is the gradient of what the first recurrent layer reads, in batches (B, T, F), or (T, B, F)
    without its ``batch_first``: the model's input or embedded tokens. Layers with torch's names,
    ``weight_hh...`` and ``batch_first``, are known. Nothing is recorded where that input needs no
    gradient; ``x.requires_grad_()`` before the call makes it need one.

    Args:
        insist: Whether to have an input that needs no gradient need one, and to keep it in
            `leaves`; `torch.autograd.grad` must be asked for the gradient of these.

    Attributes:
        leaves: Inputs that were made to need a gradient.
    """

    def __init__(self, *, insist: bool = False) -> None:
        self.leaves: list[Tensor] = []
        self._insist = insist
        self._first: str | None = None
        self._norms: dict[int, Tensor] = {}

    def before(self, call: Call) -> None:
        if self._first not in (None, call.name) or not is_recurrent(call.module):
            return
        x = call.input
        if x is not None and x.ndim == 3:
            self._first = call.name
            if self._insist and not x.requires_grad:
                self.leaves.append(x.requires_grad_())
            if x.requires_grad:
                time_axis = 1 if call.module.batch_first else 0
                when_differentiated(x, partial(self._add, time_axis))

    def values(self) -> dict[str, Tensor]:
        return {f"lag_gradient/{lag}": value for lag, value in self._norms.items()}

    def _add(self, time_axis: int, gradient: Tensor) -> None:
        norms = norms_by_lag(gradient, time_axis)
        for lag in LAGS:
            if lag < len(norms):
                known = self._norms.get(lag)
                self._norms[lag] = norms[lag] if known is None else torch.hypot(known, norms[lag])
