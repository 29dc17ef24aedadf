"""Ranges of numbers, attached to annotations and checked wherever a user's value comes in.

``lr: NonNegative = 1e-3`` is an ordinary annotation for a type checker; `optlab.config.check`
reads the `Range` beside it and refuses a value outside.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal


@dataclass(frozen=True)
class Range:
    """An interval of numbers; an open end excludes its bound."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below

    def __str__(self) -> str:
        left = "(" if self.open_low or math.isinf(self.low) else "["
        right = ")" if self.open_high or math.isinf(self.high) else "]"
        return f"{left}{_written(self.low)}, {_written(self.high)}{right}"


def _written(bound: float) -> str:
    return f"{bound:.0f}" if float(bound).is_integer() and abs(bound) < 1e10 else f"{bound:g}"


Real = Annotated[float, Range()]
NonNegative = Annotated[float, Range(low=0.0)]
Positive = Annotated[float, Range(low=0.0, open_low=True)]
Fraction = Annotated[float, Range(low=0.0, high=1.0)]
Decay = Annotated[float, Range(low=0.0, high=1.0, open_high=True)]
Count = Annotated[int, Range(low=1)]
Natural = Annotated[int, Range(low=0)]
Width = Annotated[int, Range(low=1, high=2**20)]
"""Numbers side by side: units of a layer, channels, features. More do not fit anywhere."""
Depth = Annotated[int, Range(low=1, high=10_000)]
"""Things that are made one after another: layers, time steps. More would never be done."""
BatchSize = Count | Literal["full"]
