"""Means over seeds, and 95 % intervals that hold with few of them.

The plain percentile bootstrap does not: with 3 seeds it covers the truth 7 times in 10, as the
measurements in `experiments/statistics` show. Intervals here are those that held there.

Strata S, values in all N, resamples B.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

Array = npt.NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 2000
SEED = 20_260_000  # of resampling: the same values have the same interval


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its 95 % interval, nan where values do not tell their spread."""

    estimate: float
    low: float
    high: float


def mean_interval(values: Array) -> Interval:
    """Return the mean and its t-based interval.

    It is nan for fewer than two values, where the mean is infinite, or infinite both ways, and
    where all values are equal: they are copies, or rounded (an accuracy to whole rows), and an
    interval without width would be sure of what a few of them cannot tell.

    Args:
        values: Independent values, (N).
    """
    n = len(values)
    with np.errstate(invalid="ignore"):  # inf - inf
        mean = float(np.mean(values)) if n else math.nan
    if n < 2 or not math.isfinite(mean) or np.ptp(values) == 0:
        return Interval(mean, math.nan, math.nan)
    half = _quantile(n - 1) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half)


def share_interval(values: Array) -> Interval:
    """Return the mean of values from 0 to 1, such as accuracies, and its interval inside [0, 1].

    Near an end values lean towards the middle, and the t-based interval covers the truth too
    rarely. Here the spread depends on the true mean like that of a share: the interval has all
    means m with (mean - m)^2 <= t^2 s^2 / n * m (1 - m) / (mean (1 - mean)), which is Wilson's
    (1927) with the spread s that was seen and the quantile t of Student.

    Args:
        values: Independent values, (N).
    """
    found = mean_interval(values)
    mean, half = found.estimate, found.high - found.estimate
    if not (half > 0 and 0 < mean < 1):  # nan, or no spread but for rounding
        return Interval(mean, math.nan, math.nan)
    excess = half**2 / (mean * (1 - mean))
    middle = (mean + excess / 2) / (1 + excess)
    reach = math.sqrt(max(middle**2 - mean**2 / (1 + excess), 0.0))
    return Interval(mean, max(middle - reach, 0.0), min(middle + reach, 1.0))


def iqm(values: Array, weights: Array | None = None) -> Array:
    """Return the interquartile mean along the last axis: of what lies between the quartiles.

    A value on a quartile counts with the part of it that lies inside, so it is defined for any
    number of values; where four divides it, this is the 25 % trimmed mean of scipy. It is finite
    as long as no more than a quarter of the values is infinite.

    Args:
        values: (..., N).
        weights: Of the values, above 0, (N); by default all alike.
    """
    n = values.shape[-1]
    each = np.full(n, 1.0 / n) if weights is None else weights / weights.sum()
    order = np.argsort(values, axis=-1)
    ends = np.cumsum(each[order], axis=-1)
    inside = np.minimum(ends, 0.75) - np.maximum(ends - each[order], 0.25)
    share = np.where(inside > 1e-12, inside, 0.0)  # rounding puts none inside
    ordered = np.take_along_axis(values, order, axis=-1)
    terms = np.multiply(share, ordered, out=np.zeros(values.shape), where=share > 0)
    found: Array = terms.sum(axis=-1) / share.sum(axis=-1)
    return found


def iqm_interval(strata: Sequence[Array], resamples: int = RESAMPLES) -> Interval:
    """Return the interquartile mean over strata, such as tasks, and its interval.

    Every stratum has the same weight, whatever its number of values. The interval is estimate
    plus and minus t times the standard error of a stratified bootstrap (values are drawn anew
    within each stratum; Agarwal et al. 2021) with two corrections for small n: the error is
    widened by what resampling n values loses, sqrt(n / (n - 1)) (Hesterberg 2015, section 4), and
    t has the degrees of freedom of Welch and Satterthwaite, from the variances of each stratum's
    values winsorized at the quartiles of all (Tukey and McLaughlin 1963).

    It is nan where a stratum has fewer than two values, or some value is infinite: a spread is
    not known there.

    Args:
        strata: Values of each, (n_s).
        resamples: How often values are drawn anew.
    """
    values = np.concatenate(strata)
    weights = np.concatenate([np.full(len(s), 1.0 / len(s)) for s in strata])
    estimate = float(iqm(values, weights))
    if min(map(len, strata)) < 2 or not np.isfinite(values).all():
        return Interval(estimate, math.nan, math.nan)
    drawn = iqm(_resampled(strata, resamples), weights)
    widening, freedom = _small_sample(strata, values, weights)
    half = _quantile(freedom) * widening * float(np.std(drawn, ddof=1))
    return Interval(estimate, estimate - half, estimate + half)


def _quantile(freedom: float) -> float:
    """Return what a t of so many degrees of freedom exceeds with half the risk on each side."""
    return float(stdtrit(freedom, 0.5 + CONFIDENCE / 2))


def _resampled(strata: Sequence[Array], resamples: int) -> Array:
    """Return as many values as each stratum has, drawn from it with replacement, (B, N)."""
    rng = np.random.default_rng(SEED)
    return np.concatenate(
        [s[rng.integers(len(s), size=(resamples, len(s)))] for s in strata], axis=1
    )


def _small_sample(strata: Sequence[Array], values: Array, weights: Array) -> tuple[float, float]:
    """Return what to widen a bootstrap's standard error by, and its degrees of freedom."""
    order = np.argsort(values)
    ends = np.cumsum(weights[order]) / weights.sum()
    low, high = values[order][np.searchsorted(ends, [0.25 + 1e-12, 0.75 - 1e-12])]
    n = np.array([len(s) for s in strata])
    spread = np.array([np.clip(s, low, high).var(ddof=1) for s in strata]) / n
    total = spread.sum()
    if not total > 0:  # all that lies between the quartiles is equal
        return math.sqrt(n.min() / (n.min() - 1)), float(n.min() - 1)
    widening = math.sqrt(total / (spread * (n - 1) / n).sum())
    return widening, float(total**2 / (spread**2 / (n - 1)).sum())
