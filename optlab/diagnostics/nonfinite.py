"""The first module from which NaN or infinity comes (course notes, rows GRD-01, GRD-07)."""

# ruff: noqa: D102 - overrides carry no docstring; their contract stands on the base class

from functools import partial
from typing import Any

import torch
from torch import Tensor

from optlab.diagnostics.quantity import Call, Quantity, tensors_in, when_differentiated


class NonFinite(Quantity):
    """Records ``nonfinite``, how many outputs and gradients of modules hold NaN or infinity.

    Each output of a module that is more than a container of others counts once, and so does the
    gradient of each.
    """

    def __init__(self) -> None:
        self._places: list[str] = []
        self._bad: list[Tensor] = []

    def after(self, call: Call, output: Any) -> None:
        for tensor in tensors_in(output):
            self._look(call.name, tensor)
            if tensor.requires_grad:
                when_differentiated(tensor, partial(self._look, f"{call.name}.gradient"))

    def values(self) -> dict[str, Tensor]:
        return {"nonfinite": torch.stack(self._bad).sum().to(torch.float64)} if self._bad else {}

    @property
    def places(self) -> list[str]:
        """Names of what was looked at, in the order of execution.

        ``"hidden.0.linear"`` stands for its output, ``"hidden.0.linear.gradient"`` for that of it.
        """
        return list(self._places)

    def flags(self) -> list[Tensor]:
        """Return whether each of `places` holds NaN or infinity, 0-d bool, still on the device."""
        return list(self._bad)

    def first(self) -> str | None:
        """Return the first of `places` that does, or None: this waits for the device."""
        flags = torch.stack(self._bad).tolist() if self._bad else []
        return next((place for place, bad in zip(self._places, flags, strict=True) if bad), None)

    def _look(self, place: str, tensor: Tensor) -> None:
        self._places.append(place)
        tensor = tensor.detach()
        # x - x is 0, or NaN where x is not finite, and NaN counts as true: a third of the time of
        # torch.isfinite.
        self._bad.append((tensor - tensor).any())
