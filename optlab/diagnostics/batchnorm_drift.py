"""How far a batch norm's running statistics are from those of its inputs (NRM-04, NRM-09)."""

# ruff: noqa: D102 - overrides carry no docstring; their contract stands on the base class

import torch
from torch import Tensor, nn

from optlab.diagnostics.quantity import Call, Quantity


class BatchNormDrift(Quantity):
    """Records ``batchnorm_drift/<layer>``, the distance of running statistics from the batch's.

    With mean m and deviation s of a feature over all rows and positions of the first call, and its
    running mean and deviation M and S, it is the root of the mean over features of
    ((M - m) / s)^2 + ((S - s) / s)^2. Few rows alone make about sqrt(1.5 / rows); M = 0 and S = 1
    at the start may be any distance away. Far statistics make evaluation see another network than
    training does.
    """

    def __init__(self) -> None:
        self._distances: dict[str, Tensor] = {}

    @torch.no_grad()
    def before(self, call: Call) -> None:
        # Before the call, which moves the statistics.
        module, x = call.module, call.input
        mean, variance = (module._buffers.get(f"running_{k}") for k in ("mean", "var"))
        if mean is None or variance is None or x is None or _is_of_instances(module):
            return
        if call.name not in self._distances:
            eps = float(getattr(module, "eps", 0.0))
            self._distances[call.name] = distance(x.detach(), mean, variance, eps)

    def values(self) -> dict[str, Tensor]:
        return {f"batchnorm_drift/{name}": found for name, found in self._distances.items()}


def distance(x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    """Return the distance of running statistics (F) from those of ``x``, (B, F, ...), 0-d float64.

    Args:
        x: Inputs.
        mean: Running mean.
        variance: Running variance.
        eps: What the layer adds to a variance; here to both.
    """
    rows = x.to(torch.float64).movedim(1, -1).flatten(0, -2)
    own = rows.mean(0)
    s = ((rows - own).square().mean(0) + eps).sqrt()
    aside = (mean.to(torch.float64) - own) / s
    wider = (variance.to(torch.float64) + eps).sqrt() / s - 1
    return (aside.square() + wider.square()).mean().sqrt()


def _is_of_instances(module: nn.Module) -> bool:
    """Return whether every row has statistics of its own."""
    return any("InstanceNorm" in kind.__name__ for kind in type(module).__mro__)
