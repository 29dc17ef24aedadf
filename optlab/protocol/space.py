"""What a protocol searches: intervals of an optimizer's options, and the points that it tries."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from optlab.config import ConfigError, check_value, shown, unknown_name
from optlab.sweep.search import DIGITS, halton
from optlab.types import Positive, Range

Scale = Literal["log", "linear", "complement"]
SCALES: tuple[Scale, ...] = get_args(Scale)

Above1 = Annotated[float, Range(low=1.0, open_low=True)]

#: How close to an end of its interval a value is at the edge, as a share of the interval.
EDGE = 0.05


@dataclass(frozen=True)
class Interval:
    """Values of one option.

    Attributes:
        low, high: The ends.
        scale: In what it is searched evenly: ``"log"``, ``"linear"``, or ``"complement"``, the
            logarithm of 1 - x, in which decays close to 1 lie apart.
    """

    low: float
    high: float
    scale: Scale

    def at(self, unit: float) -> str:
        """Return the value at ``unit`` in [0, 1), as a user would write it."""
        start, end = self._scaled(self.low), self._scaled(self.high)
        place = start + unit * (end - start)
        value = place if self.scale == "linear" else math.exp(place)
        value = 1 - value if self.scale == "complement" else value
        return repr(min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high))

    def is_at_edge(self, value: float) -> bool:
        """Say whether a value lies so close to an end that a better one may lie beyond it."""
        start, end = self._scaled(self.low), self._scaled(self.high)
        inside = min(max(value, self.low), self.high)
        return not EDGE < (self._scaled(inside) - start) / (end - start) < 1 - EDGE

    def _scaled(self, value: float) -> float:
        if self.scale == "linear":
            return value
        return math.log(value if self.scale == "log" else 1 - value)


@dataclass(frozen=True)
class Spaces:
    """Search spaces by optimizer.

    Attributes:
        known: Intervals by option, for every optimizer that has a space of its own.
        factor: Of any other the learning rate is searched, from its default over this to its
            default times this.
        rate: In place of that default, where there is none.
    """

    known: Mapping[str, Mapping[str, Interval]]
    factor: float
    rate: float

    def of(self, optimizer: str, defaults: Mapping[str, Any]) -> Mapping[str, Interval]:
        """Return the space of an optimizer with some defaults; empty if it has no learning rate."""
        if optimizer in self.known:
            return self.known[optimizer]
        if "lr" not in defaults:
            return {}
        rate = defaults["lr"] or self.rate
        return {"lr": Interval(rate / self.factor, rate * self.factor, "log")}


def read_spaces(content: Mapping[str, Any], where: str) -> Spaces:
    """Return the spaces of a file's content.

    Raises:
        ConfigError: For an interval that cannot be searched.
    """
    others = _mapping(content.get("others", {}), f"{where}: others")
    factor = check_value(others.get("factor", 100.0), Above1, f"{where}: others.factor")
    rate = check_value(others.get("rate", 1e-3), Positive, f"{where}: others.rate")
    listed = _mapping(content.get("optimizers"), f"{where}: optimizers")
    known = {
        str(optimizer): {
            str(option): _interval(given, f"{where}: {optimizer}.{option}")
            for option, given in _mapping(options, f"{where}: {optimizer}").items()
        }
        for optimizer, options in listed.items()
    }
    return Spaces(known, factor, rate)


def units(trials: int, dimensions: int) -> list[list[float]]:
    """Return (trials, dimensions) numbers in [0, 1), of a Halton sequence with a fixed scrambling.

    Fewer trials are the first rows of more, and fewer dimensions the first columns: optimizers
    with spaces of different sizes try learning rates at the same places.
    """
    return halton(trials, dimensions) if dimensions and trials else [[] for _ in range(trials)]


def drawn(space: Mapping[str, Interval], point: Sequence[float]) -> tuple[str, ...]:
    """Return the words of a point of a space, of numbers in [0, 1)."""
    pairs = zip(space.items(), point, strict=True)
    return tuple(f"optimizer.{option}={interval.at(unit)}" for (option, interval), unit in pairs)


def _interval(given: Any, where: str) -> Interval:
    options = _mapping(given, where)
    if len(options) != 1:
        raise ConfigError(
            f"an interval is given as SCALE: [LOW, HIGH], got {shown(given)} ({where})"
        )
    ((scale, ends),) = options.items()
    if scale not in SCALES:
        raise unknown_name(f"scale of {where}", str(scale), SCALES)
    if not isinstance(ends, list) or len(ends) != 2 or not all(map(_is_number, ends)):
        raise ConfigError(
            f"the ends of an interval are two numbers such as [1.0e-4, 0.1], got {shown(ends)} "
            f"({where})"
        )
    low, high = map(float, ends)
    limits = {"log": low > 0, "linear": True, "complement": high < 1}
    if not (low < high and limits[scale]):
        above = {"log": " above 0", "linear": "", "complement": " below 1"}[scale]
        raise ConfigError(
            f"{scale} searches from a number to a larger one{above}, got {shown(ends)} ({where})"
        )
    return Interval(low, high, scale)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where} must be a mapping, got {shown(value)}")
    return value
