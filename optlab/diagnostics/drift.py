"""How the distributions inside a network move while it trains (course notes, row NRM-09)."""

# ruff: noqa: D102 - overrides carry no docstring; their contract stands on the base class

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from optlab.diagnostics.dead_units import units_last
from optlab.diagnostics.quantity import Call, Handle, Quantity, norm
from optlab.diagnostics.slopes import has_slopes


class Drift(Quantity):
    """Records ``drift/<activation>``, the change since the last look of what an activation reads.

    It is the norm of the change of (mu, sigma), mean and deviation of every unit over all rows,
    and calls for looks at the same rows: give one `Drift` to several monitors in turn. The first
    look has no values. Between layers this is the internal covariate shift that batch
    normalization is said to reduce (Ioffe and Szegedy, 2015). Units as in `DeadUnits`.

    Attributes:
        sums: What the last look left: rows, sums and sums of squares of every unit by activation,
            shape (3, H).
    """

    def __init__(self) -> None:
        self._before: dict[str, Tensor] = {}
        self.sums: dict[str, Tensor] = {}

    def begin(self, modules: Mapping[str, nn.Module]) -> Collection[Handle]:
        # The last look is now the one to compare with.
        self._before, self.sums = self._statistics(), {}
        return ()

    def before(self, call: Call) -> None:
        z = call.input
        if z is not None and has_slopes(call.module):
            rows = units_last(z.detach().to(torch.float64)).flatten(0, -2)
            sums = torch.stack([torch.ones_like(rows).sum(0), rows.sum(0), rows.square().sum(0)])
            known = self.sums.get(call.name)
            self.sums[call.name] = sums if known is None else known + sums

    def values(self) -> dict[str, Tensor]:
        now = self._statistics()
        return {
            f"drift/{name}": norm(found - self._before[name])
            for name, found in now.items()
            if name in self._before
        }

    def state(self) -> dict[str, Tensor]:
        """Return what the last look left, for `load`."""
        return dict(self.sums)

    def load(self, state: Mapping[str, Tensor], device: torch.device) -> None:
        """Go on from what `state` returned, on a device."""
        self.sums = {name: sums.to(device) for name, sums in state.items()}

    def _statistics(self) -> dict[str, Tensor]:
        """Return (mu, sigma) of every unit by activation, shape (2, H)."""
        found = {}
        for name, (rows, values, squares) in self.sums.items():
            mean = values / rows
            variance = (squares / rows - mean.square()).clamp(min=0)
            found[name] = torch.stack([mean, variance.sqrt()])
        return found
