"""Share of units whose activation is nearly flat where they stand (course notes, row ACT-04)."""

# ruff: noqa: D102 - overrides carry no docstring; their contract stands on the base class

import torch
from torch import Tensor

from optlab.diagnostics.quantity import Call, Quantity

#: Slopes below this pass on less than a hundredth of a gradient.
FLAT = 0.01


class Saturation(Quantity):
    """Records ``saturated/<activation>``, the share of rows and units with |f'(z)| < `FLAT`.

    For a sigmoid these are |z| > 4.6, for tanh |z| > 3.0, for ReLU every z <= 0: the inactive
    ones. Activations that `optlab.diagnostics.slopes` knows are measured.
    """

    def __init__(self) -> None:
        self._flat: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def before(self, call: Call) -> None:
        # Before the call, which may overwrite its input.
        if call.slopes is not None:
            flat = (call.slopes.abs() < FLAT).sum()
            known = self._flat.get(call.name)
            self._flat[call.name] = flat if known is None else known + flat
            self._counts[call.name] = self._counts.get(call.name, 0) + call.slopes.numel()

    def values(self) -> dict[str, Tensor]:
        shares = ((n, flat.to(torch.float64) / self._counts[n]) for n, flat in self._flat.items())
        return {f"saturated/{name}": share for name, share in shares}
