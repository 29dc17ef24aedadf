"""From the words of a multirun to the words of its jobs: the grid, and a search over intervals.

``KEY=interval(a,b)`` is searched uniformly, ``KEY=tag(log,interval(a,b))`` uniformly in the
logarithm, and ``int(interval(a,b))`` among whole numbers, both ends included. All intervals
together are one axis of ``trials`` points, crossed with the grid over everything else, so that
every cell of the grid sees the same points. The points of fewer trials begin those of more.
"""

import hashlib
import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from hydra.core.override_parser.types import IntervalSweep, Override

from optlab.config import ConfigError
from optlab.sweep.settings import Search

#: Digits of a drawn value: enough to search with, and few enough for names of folders.
DIGITS = 6
#: Primes of the Halton sequence grow with its dimension, and so does the number of points until
#: they fill it; beyond this it is worse than random points.
MAX_HALTON_DIMENSIONS = 20


@dataclass(frozen=True)
class Interval:
    """What ``interval(a,b)`` says of one key.

    Attributes:
        low, high: The ends, included.
        is_log: Whether the logarithm is searched uniformly.
        is_integer: Whether only whole numbers are meant.
    """

    low: float
    high: float
    is_log: bool
    is_integer: bool

    def at(self, unit: float) -> str:
        """Return the value at ``unit`` in [0, 1), as a user would write it."""
        high = self.high + 1 if self.is_integer else self.high
        if self.is_log:
            value = math.exp(math.log(self.low) + unit * (math.log(high) - math.log(self.low)))
        else:
            value = self.low + unit * (high - self.low)
        if self.is_integer:
            return str(int(min(max(math.floor(value), self.low), self.high)))
        return repr(min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high))


def job_words(
    overrides: Sequence[Override], search: Search = "grid", trials: int | None = None
) -> list[tuple[str, ...]]:
    """Return the words of every job, in the order of Hydra's basic sweeper, trial after trial.

    Of a key that is given twice the later value counts, at the place of the first.

    Raises:
        ConfigError: For an interval without a search, a search without an interval, an empty list
            of values, or an interval that cannot be searched.
    """
    values: dict[str, list[str | None]] = {}
    intervals: dict[str, Interval] = {}
    for override in overrides:
        key = override.get_key_element()
        values[key] = _values(override)
        intervals.pop(key, None)
        if override.is_interval_sweep():
            intervals[key] = _interval(override)
    _refuse_mismatch(intervals, search, trials)
    units = _points(search, trials or 1, list(intervals))
    jobs: list[tuple[str, ...]] = []
    for point in units:
        drawn = {key: [each.at(u)] for (key, each), u in zip(intervals.items(), point, strict=True)}
        axes = [[_word(key, value) for value in drawn.get(key, values[key])] for key in values]
        jobs += product(*axes)
    return jobs


def _word(key: str, value: str | None) -> str:
    return key if value is None else f"{key}={value}"


def _values(override: Override) -> list[str | None]:
    """Return what a word lists; nothing for an interval, None for ``~KEY``, which has no value."""
    if override.is_interval_sweep():
        return []
    if override.value_type is None:
        return [None]
    if not override.is_sweep_override():
        return [override.get_value_element_as_str()]
    values: list[str | None] = list(override.sweep_string_iterator())
    if not values:
        raise ConfigError(f"{override.input_line} lists no value: nothing matches, or it is empty")
    return values


def _interval(override: Override) -> Interval:
    interval = override.value()
    assert isinstance(interval, IntervalSweep)
    low, high = interval.start, interval.end
    assert low is not None
    assert high is not None
    line, is_log = override.input_line, "log" in interval.tags
    if unknown := sorted(interval.tags - {"log"}):
        raise ConfigError(
            f"an interval knows the tag log, as in tag(log,interval(1e-4,1e-1)); "
            f"got {', '.join(unknown)} ({line})"
        )
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigError(f"an interval goes from a number to a larger one, got {line}")
    if is_log and low <= 0:
        raise ConfigError(f"the logarithm needs an interval above 0, got {line}")
    return Interval(low, high, is_log, isinstance(low, int) and isinstance(high, int))


def _refuse_mismatch(intervals: dict[str, Interval], search: Search, trials: int | None) -> None:
    first = next(iter(intervals), None)
    if search == "grid":
        if first is not None:
            raise ConfigError(
                f"{first}=interval(...) has no values to list: add sweep.search=halton (or random) "
                "and sweep.trials=N, or list values with range(a,b,step)"
            )
        if trials is not None:
            raise ConfigError(
                f"sweep.trials={trials} is for a search: add sweep.search=halton (or random)"
            )
    elif first is None:
        raise ConfigError(
            f"sweep.search={search} has nothing to search: give an interval such as "
            "optimizer.lr=tag(log,interval(1e-4,1e-1)), or leave it out"
        )
    elif trials is None:
        raise ConfigError(f"sweep.search={search} needs the number of points: sweep.trials=N")


def _points(search: Search, trials: int, keys: Sequence[str]) -> list[list[float]]:
    """Return (trials, keys) numbers in [0, 1); fewer trials are the first rows of more."""
    if search == "grid":
        return [[] for _ in range(trials)]
    if search == "halton":
        return halton(trials, len(keys))
    streams = [np.random.Generator(np.random.PCG64(_seed(key))) for key in keys]
    points: list[list[float]] = np.stack([s.random(trials) for s in streams], axis=1).tolist()
    return points


def halton(trials: int, dimensions: int) -> list[list[float]]:
    """Return the sequence of Halton (1960), scrambled after Owen (2017) with a fixed seed."""
    from scipy.stats import qmc  # takes longer to import than a grid to compose

    if dimensions > MAX_HALTON_DIMENSIONS:
        raise ConfigError(
            f"sweep.search=halton takes up to {MAX_HALTON_DIMENSIONS} intervals, got {dimensions}; "
            "use sweep.search=random"
        )
    name = "rng" if "rng" in inspect.signature(qmc.Halton).parameters else "seed"  # by SciPy's age
    sequence = qmc.Halton(dimensions, **{name: np.random.Generator(np.random.PCG64(0))})
    points: list[list[float]] = sequence.random(trials).tolist()
    return points


def _seed(key: str) -> int:
    """Return the seed of a key's stream: another key beside it changes nothing."""
    digest = hashlib.blake2b(f"search/{key.lstrip('+')}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")
