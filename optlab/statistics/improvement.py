"""How likely a run of one method beats a run of another (Mann and Whitney's form).

Values are such that the lowest is best. Infinite ones lose against all finite ones and tie with
each other. Strata S, such as tasks.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from optlab.statistics.intervals import CONFIDENCE, Interval

Array = npt.NDArray[np.float64]


def probability(first: Array, second: Array) -> float:
    """Return the share of all pairs of values in which the first is lower, ties as half; or nan.

    Args:
        first: Values of the first method, (n).
        second: Of the second, (m).
    """
    if not len(first) or not len(second):
        return math.nan
    lower, equal = first[:, None] < second, first[:, None] == second
    return float((lower + 0.5 * equal).mean())


def improvement(first: Sequence[Array], second: Sequence[Array]) -> Interval:
    """Return the probability that the first method beats the second, a mean over strata.

    The interval is Newcombe's score interval of the Mann-Whitney statistic, with the variances of
    strata added up. It stays inside [0, 1] and is no point where all values of one method beat all
    of the other, which is what any bootstrap makes of them: for a true value of 0.96 and 5 seeds
    that one covers 4 times in 10. Values of both methods are taken as independent, so for runs
    paired by seed the interval is rather too wide.

    Args:
        first: Values of the first method in each stratum, (n_s).
        second: Of the second, (m_s).

    Returns:
        Without an interval, nan, where a stratum has fewer than two values of either.

    Source: Agarwal et al. (2021), section 4; Newcombe (2006), part 2, method 5.
    """
    counts = [(len(a), len(b)) for a, b in zip(first, second, strict=True)]
    found = float(np.mean([probability(a, b) for a, b in zip(first, second, strict=True)]))
    if min(map(min, counts)) < 2:
        return Interval(found, math.nan, math.nan)
    high = _end(found, counts)
    return Interval(found, 1.0 - _end(1.0 - found, counts), high)


def _end(found: float, counts: Sequence[tuple[int, int]]) -> float:
    """Return the highest probability that the one found does not speak against, by bisection."""
    quantile = float(ndtri(0.5 + CONFIDENCE / 2))
    inside, outside = found, 1.0
    for _ in range(50):
        middle = (inside + outside) / 2
        if (middle - found) ** 2 <= quantile**2 * _variance(middle, counts):
            inside = middle
        else:
            outside = middle
    return outside


def _variance(p: float, counts: Sequence[tuple[int, int]]) -> float:
    """Return the variance of the share found where the probability is ``p`` in every stratum.

    It is that of exponential distributions (Hanley and McNeil 1982), with both sizes of a sample
    replaced by their mean.
    """
    shape = (1 - p) / (2 - p) + p / (1 + p)
    each = [p * (1 - p) / (n * m) * (1 + ((n + m) / 2 - 1) * shape) for n, m in counts]
    return sum(each) / len(each) ** 2
