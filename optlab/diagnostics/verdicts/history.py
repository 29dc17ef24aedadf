"""What a run recorded, as the rules read it: curves by tag.

Shapes: records K.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: First parts of the tags that some rule reads; of the others nothing is kept.
KINDS = frozenset(
    {
        *("loss", "accuracy", "gradient_norm", "update_ratio", "preactivation_gradient"),
        *("gradient_ratio", "saturated", "gate_saturated", "dead", "symmetric"),
        *("batchnorm_drift", "nonfinite"),
    }
)


class Curve(NamedTuple):
    """Values of one tag, those that are kept, in order.

    Attributes:
        updates: Updates made at each record, (K), ascending.
        values: The values, (K); nan and infinity are among them where they were recorded.
    """

    updates: Ints
    values: Floats

    def __bool__(self) -> bool:
        return len(self.values) > 0

    def finite(self) -> "Curve":
        """Return the records whose value is a finite number."""
        kept = np.isfinite(self.values)
        return Curve(self.updates[kept], self.values[kept])

    def later_half(self) -> "Curve":
        """Return the later half of the records, the one in the middle included."""
        start = len(self.values) // 2
        return Curve(self.updates[start:], self.values[start:])

    def settled(self) -> float:
        """Return the median of the later half of the finite records, nan where there is none.

        What a network begins with is often mended within a few updates; one look that is out of
        line decides nothing.
        """
        values = self.finite().later_half().values
        return float(np.median(values)) if len(values) else float("nan")

    def since(self, limit: float) -> int:
        """Return the update from which on all finite values are at ``limit`` or above.

        The last record's update where even that is below.
        """
        updates, values = self.finite()
        below = np.flatnonzero(values < limit)
        if not len(updates):
            return 0
        return int(updates[min(below[-1] + 1, len(updates) - 1) if len(below) else 0])


NOTHING = Curve(np.empty(0, np.int64), np.empty(0))


@dataclass(frozen=True)
class History:
    """The records of one run.

    Attributes:
        curves: Curves by tag, the tags in the order in which they were first recorded.
    """

    curves: Mapping[str, Curve]

    def __getitem__(self, tag: str) -> Curve:
        """Return the curve of a tag, an empty one where there is none."""
        return self.curves.get(tag, NOTHING)

    @cached_property
    def smooth_loss(self) -> Curve:
        """The training loss as means over twentieths of its records; several rules read it."""
        return smoothed(self["loss/train"])

    def kind(self, kind: str) -> dict[str, Curve]:
        """Return the curves of the tags ``kind/...`` by what stands behind the slash."""
        start = f"{kind}/"
        return {t.removeprefix(start): c for t, c in self.curves.items() if t.startswith(start)}


def smoothed(curve: Curve, most: int = 20) -> Curve:
    """Return means over at most so many stretches of consecutive finite records."""
    updates, values = curve.finite()
    parts = min(most, len(values))
    if not parts:
        return NOTHING
    bounds = np.arange(parts + 1) * len(values) // parts
    means = np.add.reduceat(values, bounds[:-1]) / np.diff(bounds)
    return Curve(updates[bounds[1:] - 1], means)
