"""Norm of dL/dW by parameter, and its fall from the last layer to the first (GRD-01, GRD-03)."""

# ruff: noqa: D102 - overrides carry no docstring; their contract stands on the base class

from collections.abc import Collection, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from optlab.diagnostics.quantity import (
    Call,
    Handle,
    Quantity,
    name_of,
    norm,
    weights_of,
    when_differentiated,
)


class ParameterGradients(Quantity):
    """Adds up the gradients that passes back send to parameters.

    They are seen on their way, so that ``parameter.grad`` plays no part: it may hold sums of
    earlier passes, and `torch.autograd.grad` leaves it alone.

    Attributes:
        gradients: Sum by parameter.
    """

    def __init__(self) -> None:
        self.gradients: dict[nn.Parameter, Tensor] = {}

    def watch(self, parameters: Collection[nn.Parameter]) -> Collection[Handle]:
        """Have the gradients of these sent here."""
        trained = (p for p in parameters if p.requires_grad)
        return [when_differentiated(p, partial(self._add, p)) for p in trained]

    def _add(self, parameter: nn.Parameter, gradient: Tensor) -> None:
        gradient = gradient.detach()
        known = self.gradients.get(parameter)
        self.gradients[parameter] = gradient if known is None else known + gradient


class WeightGradients(ParameterGradients):
    """Records ``gradient_norm/<parameter>``, the norm of each parameter's gradient."""

    def begin(self, modules: Mapping[str, nn.Module]) -> Collection[Handle]:
        # A shared parameter goes by its first name.
        self._names: dict[nn.Parameter, str] = {}
        for name, module in modules.items():
            for own, parameter in module.named_parameters(name, recurse=False):
                self._names.setdefault(parameter, own)
        return self.watch(self._names)

    def values(self) -> dict[str, Tensor]:
        found = {name: self.gradients.get(p) for p, name in self._names.items()}
        return {f"gradient_norm/{name}": norm(g) for name, g in found.items() if g is not None}


class GradientRatio(ParameterGradients):
    """Records ``gradient_ratio/first_last``: far below 1 gradients vanish, far above they explode.

    It is the norm of the gradient of the first layer's weights over that of the last layer's, in
    the order in which layers are called; biases are left out, and a recurrent layer's weights are
    taken together.
    """

    def begin(self, modules: Mapping[str, nn.Module]) -> Collection[Handle]:
        self._called: dict[str, None] = {}
        weights = {name_of(name, module): weights_of(module) for name, module in modules.items()}
        self._weights = {name: found for name, found in weights.items() if found}
        return self.watch({p: None for found in self._weights.values() for p in found})

    def before(self, call: Call) -> None:
        if call.name in self._weights:
            self._called.setdefault(call.name)

    def values(self) -> dict[str, Tensor]:
        found = [
            [self.gradients[p] for p in self._weights[layer] if p in self.gradients]
            for layer in self._called
        ]
        layers = [gradients for gradients in found if gradients]
        if len(layers) < 2:
            return {}
        first, last = (torch.stack([norm(g) for g in layers[i]]).norm() for i in (0, -1))
        return {"gradient_ratio/first_last": first / last}
