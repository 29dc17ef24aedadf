"""Units through which no row of a whole set sends a gradient (course notes, row GRD-09)."""

# ruff: noqa: D102 - overrides carry no docstring; their contract stands on the base class

import torch
from torch import Tensor

from optlab.diagnostics.quantity import Call, Quantity
from optlab.nn.metrics import dead_unit_fraction


class DeadUnits(Quantity):
    """Records ``dead/<activation>``, the share of units with f'(z) = 0 for every row seen.

    A unit that is silent in each of two chunks may wake in the third, so the chunks' shares cannot
    be averaged: the largest slope of each unit is kept. A unit is an entry of the last axis of
    (B, H) and (B, T, H), and a channel of (B, C, H, W): its rows are all positions and steps.
    """

    def __init__(self) -> None:
        self._largest: dict[str, Tensor] = {}

    def before(self, call: Call) -> None:
        # Before the call, which may overwrite its input.
        if call.slopes is None or call.slopes.numel() == 0:
            return
        largest = units_last(call.slopes.abs()).flatten(0, -2).amax(0)
        known = self._largest.get(call.name)
        self._largest[call.name] = largest if known is None else torch.maximum(known, largest)

    def values(self) -> dict[str, Tensor]:
        found = self._largest.items()
        return {f"dead/{name}": dead_unit_fraction(largest[None]) for name, largest in found}


def units_last(values: Tensor) -> Tensor:
    """Return values with at least two axes, the units' axis last."""
    if values.ndim < 2:
        return values.reshape(1, -1)
    return values.movedim(1, -1) if values.ndim > 3 else values
