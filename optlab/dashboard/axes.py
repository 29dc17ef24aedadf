"""What the curves of a cell are drawn over, as TensorBoard can: its steps are whole numbers.

Shapes: points N, those that are kept K.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from optlab.records import RunRecord
from optlab.report.measures.effort import Unit, per_update

MOST_POINTS = 100  # of a curve

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Axis:
    """A unit of effort.

    Attributes:
        name: First part of its tags.
        title: What its steps are.
        unit: The unit.
        scale: Steps in one of it.
    """

    name: str
    title: str
    unit: Unit
    scale: float = 1.0


AXES = (
    Axis("by_epoch", "by epochs", "epochs"),
    Axis("by_update", "by updates", "updates"),
    Axis("by_gradient", "by gradient evaluations (rows)", "row gradients"),
    Axis("by_millisecond", "by training time (ms; runs timed alone)", "seconds", 1000.0),
)


def costs(runs: Sequence[RunRecord]) -> dict[Axis, float]:
    """Return what an update cost the runs of a cell on average, in the units in which it is known.

    Left out is a unit that counts nothing but updates: full batches are epochs, for one.
    """
    made = [run for run in runs if run.result.updates]
    found = {axis: [per_update(run, axis.unit) * axis.scale for run in made] for axis in AXES}
    means = {axis: float(np.mean(own)) if own else math.nan for axis, own in found.items()}
    return {
        axis: cost
        for axis, cost in means.items()
        if math.isfinite(cost) and (axis.unit == "updates" or cost != 1.0)
    }


def whole_steps(places: Floats) -> tuple[Integers, Integers]:
    """Return which points of a curve are drawn, (K), and at which whole steps, (K).

    Of points that fall on one step the nearest stays: of several in an epoch, that at its end. Of
    more than `MOST_POINTS`, evenly spaced ones stay, the first and the last among them.

    Args:
        places: Where the points are, in order, (N).
    """
    whole = np.rint(places).astype(np.int64)
    order = np.lexsort((np.abs(places - whole), whole))
    kept = order[np.unique(whole[order], return_index=True)[1]]
    if len(kept) > MOST_POINTS:
        kept = kept[np.linspace(0, len(kept) - 1, MOST_POINTS).round().astype(int)]
    return kept, whole[kept]
