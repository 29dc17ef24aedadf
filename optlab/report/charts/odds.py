"""Accuracies by their log odds, so that 0.98 and 0.99 lie as far apart as 0.5 and 0.67."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: Moves 0 and 1 to places that can be drawn; a hundredth is still told apart from either.
SOFTNESS = 0.005
#: Round accuracies, those that a reader looks for first.
TICKS = (1.0, 0.9, 0.5, 0.98, 0.1, 0.95, 0.99, 0.7, 0.3, 0.8, 0.2, 0.02, 0.0, 0.05)
WIDE_ODDS = 2.0  # a range too wide for a linear axis


def log_odds(accuracy: Array) -> Array:
    """Return log(a / (1 - a)), softened so that it is finite at 0 and 1."""
    # The ends of an axis may lie a little beyond both.
    inside = np.clip(accuracy, -0.99 * SOFTNESS, 1 + 0.99 * SOFTNESS)
    return np.asarray(np.log((inside + SOFTNESS) / (1 - inside + SOFTNESS)))


def from_log_odds(odds: Array) -> Array:
    """Return the accuracy of softened log odds."""
    return np.asarray((1 + 2 * SOFTNESS) / (1 + np.exp(-odds)) - SOFTNESS)


def round_accuracies(ends: tuple[float, float], room: float) -> dict[float, float]:
    """Return round accuracies between two log odds, and their log odds.

    Those that matter most come first, as far as there is room.

    Args:
        ends: Of the axis in log odds.
        room: Share of the axis that a tick's label takes.
    """
    low, high = ends
    kept: dict[float, float] = {}
    for tick, place in zip(TICKS, log_odds(np.array(TICKS)), strict=True):
        nearest = min((abs(place - other) for other in kept.values()), default=np.inf)
        if low <= place <= high and nearest >= room * (high - low):
            kept[tick] = float(place)
    return dict(sorted(kept.items()))
