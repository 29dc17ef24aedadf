"""Norm of dL/dz, the gradient that comes back to each layer (course notes, rows GRD-01, GRD-02)."""

# ruff: noqa: D102 - overrides carry no docstring; their contract stands on the base class

from functools import partial
from typing import Any

import torch
from torch import Tensor

from optlab.diagnostics.quantity import (
    Call,
    Quantity,
    is_layer,
    norm,
    tensors_in,
    when_differentiated,
)


class PreactivationGradients(Quantity):
    """Records ``preactivation_gradient/<layer>``, the norm of the gradient of a layer's output.

    A layer is a module with a weight matrix or kernel of its own, and z is what it returns: of a
    linear layer or a convolution W x + b, so that dL/dW is made of dL/dz and x alone. This holds
    wherever an activation or a norm stands: without a norm in between z is the activation's input,
    with norm, then activation it is the norm's input. A recurrent layer returns hidden states, of
    all steps and the last; of these the gradient is that from outside the layer.

    The norm is over all rows and elements. With a loss that is a mean over B rows it falls with
    1/sqrt(B), so compare layers, or updates of one batch size.
    """

    def __init__(self) -> None:
        self._norms: dict[str, Tensor] = {}

    def after(self, call: Call, output: Any) -> None:
        if is_layer(call.module):
            for z in tensors_in(output):
                if z.requires_grad:
                    when_differentiated(z, partial(self._add, call.name))

    def values(self) -> dict[str, Tensor]:
        # Gradients come in the order opposite to that of the calls.
        found = reversed(self._norms.items())
        return {f"preactivation_gradient/{name}": value for name, value in found}

    def _add(self, name: str, gradient: Tensor) -> None:
        new = norm(gradient)
        known = self._norms.get(name)
        self._norms[name] = new if known is None else torch.hypot(known, new)
