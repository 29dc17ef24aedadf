"""What varied among comparable cells, as factors: an optimizer, a rate, an activation, a depth."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from optlab.report.cells import Cell, identity, sets_apart
from optlab.report.charts import Array, Axis
from optlab.report.phrases import NAMING, OPTIMIZER, optimizer_name, phrases, show

Codes = npt.NDArray[np.int64]

HIDDEN = "model.hidden"
#: Numbers that a grid lists; of more, as a search draws them, neighbours are taken together.
MOST_LISTED = 12
BINS = 6
#: Significant digits of a level that is a number.
LEAST_DIGITS, MOST_DIGITS = 3, 6
#: From here on ratios say more of an axis than differences.
WIDE = 10.0


@dataclass(frozen=True, eq=False)
class Factor:
    """Something that varied.

    Attributes:
        title: What it is, in a few words.
        values: Its value in each cell, (N); None where a cell's method has no such option.
        levels: What its levels are called, in order; a level may be a range of numbers.
        codes: Level of each cell, (N).
    """

    title: str
    values: tuple[Any, ...]
    levels: tuple[str, ...]
    codes: Codes

    @property
    def is_number(self) -> bool:
        """Whether every cell has a finite number."""
        return all(_is_number(value) for value in self.values)

    @property
    def places(self) -> Array:
        """Where cells lie on its `axis`, (N)."""
        if self.is_number:
            return np.array(self.values, dtype=float)
        return self.codes.astype(float)

    @property
    def axis(self) -> Axis:
        """An axis of numbers where cells have numbers, otherwise one of names."""
        if not self.is_number:
            return Axis(self.title, "names", self.levels)
        low, high = self.places.min(), self.places.max()
        return Axis(self.title, "log" if low > 0 and high >= WIDE * low else "linear")


def factors_of(cells: Sequence[Cell]) -> list[Factor]:
    """Return what varied among cells of one group, without what follows from another factor.

    The batch size of batch gradient descent, for one, is no factor beside the optimizer.
    """
    names = [n for n in cells[0].key if not sets_apart(n, cells[0].metric)]
    found: list[Factor] = []
    for title, values in _columns(cells, names).items():
        factor = _factor(title, values)
        if len(factor.levels) > 1 and not any(_follows(factor, other) for other in found):
            found.append(factor)
    return found


def _columns(cells: Sequence[Cell], names: Sequence[str]) -> dict[str, list[Any]]:
    """Return a value for each cell, by title; options that are told together are one column."""
    columns: dict[str, list[Any]] = {}
    for name in names:
        for title, read in _readers(cells, name, names).items():
            columns.setdefault(title, [read(cell.key) for cell in cells])
    return columns


def _readers(
    cells: Sequence[Cell], name: str, names: Sequence[str]
) -> dict[str, Callable[[Mapping[str, Any]], Any]]:
    """Return how to read a factor, or two, from a key, by title."""
    if name in NAMING:
        return {OPTIMIZER.partition(".")[0]: optimizer_name}
    if name.startswith("transform."):
        own = [other for other in names if other.startswith("transform.")]
        return {"transform": lambda key: "".join(phrases(key, own)).removeprefix("transform=")}
    if name == HIDDEN and all(_is_uniform(cell.key[name]) for cell in cells):
        return {
            "depth (hidden layers)": lambda key: len(key[name]),
            "width (units of a layer)": lambda key: key[name][0],
        }
    return {_title(name, names): lambda key: key[name]}


def _title(name: str, names: Sequence[str]) -> str:
    """Return the last word of a key, with those before it where another key has the same one."""
    section, _, last = name.rpartition(".")
    if last == "name":
        return section
    if name == "optimizer.lr":
        return "learning rate"
    alike = [n for n in names if n.rpartition(".")[2] == last]
    return last if len(alike) == 1 else name


def _factor(title: str, values: Sequence[Any]) -> Factor:
    known = {identity({"": value}): value for value in values}
    ordered = sorted(known, key=lambda token: _order(known[token]))
    places = {token: place for place, token in enumerate(ordered)}
    codes = np.array([places[identity({"": value})] for value in values], dtype=np.int64)
    levels = _names([known[token] for token in ordered])
    if len(ordered) > MOST_LISTED and all(_is_number(value) for value in values):
        codes, levels = _binned(np.array(values, dtype=float))
    return Factor(title, tuple(values), levels, codes)


def _names(values: Sequence[Any]) -> tuple[str, ...]:
    """Return what levels are called: drawn numbers by so many digits as tell them apart."""
    full = tuple(map(show, values))
    for digits in range(LEAST_DIGITS, MOST_DIGITS):
        short = tuple(f"{v:.{digits}g}" if isinstance(v, float) else show(v) for v in values)
        if len(set(short)) == len(set(full)):
            return tuple(min(pair, key=len) for pair in zip(full, short, strict=True))
    return full


def _binned(values: Array) -> tuple[Codes, tuple[str, ...]]:
    """Return levels that hold equally many of the different numbers, as far as they can."""
    parts = np.array_split(np.unique(values), BINS)
    starts = np.array([part[0] for part in parts[1:]])
    names = tuple(f"{part[0]:.3g} .. {part[-1]:.3g}" for part in parts)
    return np.searchsorted(starts, values, side="right").astype(np.int64), names


def _follows(factor: Factor, other: Factor) -> bool:
    """Say whether another factor's level fixes this one's."""
    pairs = set(zip(other.codes.tolist(), factor.codes.tolist(), strict=True))
    return len(pairs) == len(set(other.codes.tolist()))


def _order(value: Any) -> tuple[int, float, str]:
    """Order what is absent first, then numbers, then texts; lists by length."""
    if value is None:
        return 0, 0.0, ""
    if isinstance(value, int | float):
        return 1, float(value), ""
    return 2, float(len(value)) if isinstance(value, list) else 0.0, show(value)


def _is_uniform(value: Any) -> bool:
    """Say whether a list of sizes is a depth times a width."""
    return isinstance(value, list) and len(set(map(str, value))) == 1


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value)
