"""Which shade of a colour map each value has, and what stands beside the map.

Shapes: rows R, columns C.
"""

from dataclasses import dataclass

import numpy as np

from optlab.report.charts import Array
from optlab.report.charts.round_ticks import round_log_ticks


@dataclass(frozen=True, eq=False)
class Shades:
    """Values as places on a colour map.

    Attributes:
        places: Of the values, of their shape; nan where a value is unknown or infinite.
        low, high: Places at the ends of the map.
        ticks: Places beside it and their texts; where there are none whoever draws chooses.
    """

    places: Array
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...] = ()


def shades(values: Array, is_log: bool = False, middle: float | None = None) -> Shades:
    """Return the shades of values.

    Args:
        values: Of any shape, (R, C) for one.
        is_log: Whether shades are even in the logarithm; nothing and less have none.
        middle: Value in the middle of the map.
    """
    places = _logarithms(values) if is_log else np.where(np.isfinite(values), values, np.nan)
    finite = places[np.isfinite(places)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    if middle is not None:
        centre = float(_logarithms(np.array(middle))) if is_log else middle
        reach = max(abs(low - centre), abs(high - centre))
        low, high = centre - reach, centre + reach
    if low == high:
        low, high = low - 0.5, high + 0.5
    return Shades(places, low, high, round_log_ticks(low, high) if is_log else ())


def _logarithms(values: Array) -> Array:
    positive = np.where(np.isfinite(values) & (values > 0), values, np.nan)
    return np.asarray(np.log10(positive))
