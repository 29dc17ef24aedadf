"""What the training loop asks for: a look through the layers that leaves the run as it was."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from optlab.diagnostics.batchnorm_drift import BatchNormDrift
from optlab.diagnostics.dead_units import DeadUnits
from optlab.diagnostics.drift import Drift
from optlab.diagnostics.gates import GateSaturation
from optlab.diagnostics.lag_gradients import LagGradients
from optlab.diagnostics.monitor import GradientMonitor
from optlab.diagnostics.nonfinite import NonFinite
from optlab.diagnostics.preactivation_gradients import PreactivationGradients
from optlab.diagnostics.quantity import is_layer
from optlab.diagnostics.saturation import Saturation
from optlab.diagnostics.slopes import has_slopes
from optlab.diagnostics.symmetric_units import SymmetricUnits
from optlab.diagnostics.undisturbed import undisturbed
from optlab.diagnostics.weight_gradients import GradientRatio

T = TypeVar("T")

#: Rows of one look at gradients: about the cost of an update.
FLOW_ROWS = 32

#: Most tags of one kind, such as ``saturated/...``, in one record.
MOST_TAGS = 12


@dataclass(frozen=True)
class Look:
    """What a look has seen, as numbers that leave the device in one copy.

    Attributes:
        tags: Names of the first numbers.
        places: Where NaN and infinity were looked for: the other numbers, 1 where they were.
        numbers: Shape (len(tags) + len(places),), float64.
    """

    tags: tuple[str, ...]
    places: tuple[str, ...]
    numbers: Tensor

    def values(self) -> dict[str, float]:
        """Return the values by tag, and under ``nonfinite/<module>`` the first bad place."""
        numbers = self.numbers.tolist()
        values = dict(zip(self.tags, numbers, strict=False))
        flags = zip(self.places, numbers[len(self.tags) :], strict=True)
        bad = next((place for place, flag in flags if flag), None)
        return values if bad is None else values | {f"nonfinite/{bad}": 1.0}


def gradient_flow(
    module: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    drift: Drift | None = None,
) -> dict[str, float]:
    """Return how gradients flow back through a module, by tag; nothing of it is changed.

    One pass forward and back in the modes that the module is in. Measured are the gradients that
    reach the layers, the ratio of the first to the last, saturation of activations and gates, units
    that are copies, running statistics that are off, the reach of gradients in time, and NaN and
    infinity, the first of which gets a tag of its own, ``nonfinite/<module>``, with the value 1.
    Of a kind there are `MOST_TAGS` tags at most.

    Args:
        module: The model.
        loss: ``(output, target) -> ()``.
        x: Some rows, (B, ...).
        y: Their targets.
        drift: What the last look left; then the change since is measured, too.

    Returns:
        Nothing for a module without layers, such as a point on a test function.
    """
    if not any(map(is_layer, module.modules())):
        return {}
    with undisturbed(module):
        return looked(module, loss, x, y, drift).values()


def looked(
    module: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    drift: Drift | None = None,
) -> Look:
    """Make the look of `gradient_flow`; buffers and generators are changed by the pass."""
    lags, finite = LagGradients(insist=True), NonFinite()
    quantities = (
        *(PreactivationGradients(), GradientRatio(), Saturation(), GateSaturation()),
        *(SymmetricUnits(), BatchNormDrift(), *(() if drift is None else (drift,))),
        *(lags, finite),
    )
    with GradientMonitor(module, quantities) as monitor, torch.enable_grad():
        cost = loss(module(x.detach()), y)
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        if trained or lags.leaves:
            torch.autograd.grad(cost, (*trained, *lags.leaves), allow_unused=True)
    values = thinned(monitor.values())
    found = [value.to(torch.float64) for value in (*values.values(), *finite.flags())]
    return Look(tuple(values), tuple(finite.places), torch.stack(found))


def evenly_spaced_rows(num_rows: int, device: torch.device, most: int = FLOW_ROWS) -> Tensor:
    """Return the numbers of at most so many rows of a set, the same for every run of a task."""
    count = min(num_rows, most)
    return torch.arange(count, device=device) * num_rows // count


@torch.no_grad()
def dead_units(module: nn.Module, chunks: Sequence[Tensor]) -> dict[str, float]:
    """Return ``{"dead/<activation>": share}`` over all rows, in evaluation mode (GRD-09).

    Args:
        module: The model; nothing of it is changed.
        chunks: Inputs of the whole set, in parts that fit into memory.
    """
    if not any(map(has_slopes, module.modules())):
        return {}
    with undisturbed(module), GradientMonitor(module, (DeadUnits(),)) as monitor:
        module.eval()
        for x in chunks:
            module(x)
    return numbers(thinned(monitor.values()))


def numbers(values: Mapping[str, Tensor]) -> dict[str, float]:
    """Return 0-d tensors as numbers; they leave the device in one copy."""
    if not values:
        return {}
    together = torch.stack([value.to(torch.float64) for value in values.values()])
    return dict(zip(values, together.tolist(), strict=True))


def thinned(values: Mapping[str, T], most: int = MOST_TAGS) -> dict[str, T]:
    """Return at most so many values of each kind, the first part of a tag.

    Those of a deep network are taken evenly from first to last, both included, so that a curve
    over depth keeps its shape.
    """
    kinds: dict[str, list[str]] = {}
    for tag in values:
        kinds.setdefault(tag.partition("/")[0], []).append(tag)
    kept = {tag for tags in kinds.values() for tag in evenly(tags, most)}
    return {tag: value for tag, value in values.items() if tag in kept}


def evenly(names: Sequence[str], most: int) -> list[str]:
    """Return at most so many names, evenly spaced, the first and the last among them."""
    if len(names) <= most:
        return list(names)
    return [names[round(i * (len(names) - 1) / (most - 1))] for i in range(most)]
