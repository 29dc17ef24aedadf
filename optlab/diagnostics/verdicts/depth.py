"""Gradients over the depth of a network, and the straight line through their logarithms.

Shapes: looks K, layers L.
"""

from typing import NamedTuple

import numpy as np

from optlab.diagnostics.verdicts.facts import Facts
from optlab.diagnostics.verdicts.history import Floats, History, Ints

KIND = "preactivation_gradient"


class Profile(NamedTuple):
    """Gradients of the layers at every look.

    Attributes:
        layers: Names, the first layer first, (L).
        depths: Their places among all layers: of many only some are recorded, (L).
        updates: Of the looks, (K).
        norms: Norms of what reaches the layers' outputs, finite, (K, L).
    """

    layers: list[str]
    depths: Ints
    updates: Ints
    norms: Floats


class Line(NamedTuple):
    """A geometric law of gradients over depth.

    Attributes:
        factor: Gradient of a layer over that of the layer below it; above 1 they fall on their way
            back, below 1 they grow.
        straight: Share of the variance of the logarithms that it explains, 0 to 1.
    """

    factor: float
    straight: float


def profile_of(history: History, facts: Facts) -> Profile | None:
    """Return gradients over depth at the looks where all are finite; None below three layers."""
    curves = history.kind(KIND)
    looks = max((len(curve.values) for curve in curves.values()), default=0)
    curves = {name: curve for name, curve in curves.items() if len(curve.values) == looks}
    if len(curves) < 3:
        return None
    norms = np.stack([curve.values for curve in curves.values()], axis=1)
    finite = np.isfinite(norms).all(axis=1)
    places = {name: place for place, name in enumerate(facts.layers)}
    depths = np.array([places.get(name, -1) for name in curves])
    if depths[0] < 0 or (np.diff(depths) <= 0).any():  # called in another order, or unknown
        depths = np.arange(len(curves))
    updates = next(iter(curves.values())).updates
    return Profile(list(curves), depths, updates[finite], norms[finite]) if finite.any() else None


def fitted(depths: Ints, norms: Floats) -> Line:
    """Return the line through the logarithms of positive gradients, (L)."""
    x, y = depths.astype(float), np.log(norms)
    slope, offset = np.polyfit(x, y, 1)
    spread, left = y.var(), (y - slope * x - offset).var()
    return Line(float(np.exp(slope)), 1.0 if spread == 0 else float(1 - left / spread))
