"""Methods compared over several tasks, by their ranks in each.

Tasks T, methods M. Values are such that the lowest is best; infinite ones rank last, and equal
ones share the mean of their ranks.

Source: Demsar (2006), Statistical comparisons of classifiers over multiple data sets.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2, rankdata, studentized_range

Array = npt.NDArray[np.float64]


def average_ranks(values: Array) -> Array:
    """Return the mean rank of each method over tasks, 1 at best, (M).

    Args:
        values: (T, M).
    """
    found: Array = _ranks(values).mean(axis=0)
    return found


def friedman_p(values: Array) -> float:
    """Return the p-value of Friedman's test that all methods rank alike, corrected for ties.

    By the chi-squared distribution, which errs on the safe side for few tasks. 1 where all values
    of each task are equal; nan for fewer than three methods or two tasks.

    Args:
        values: (T, M).
    """
    tasks, methods = values.shape
    if methods < 3 or tasks < 2:
        return math.nan
    ranks = _ranks(values)
    between = tasks**2 * ((ranks.mean(axis=0) - (methods + 1) / 2) ** 2).sum()
    within = ((ranks - (methods + 1) / 2) ** 2).sum() / (methods - 1)
    return float(chi2.sf(between / within, methods - 1)) if within else 1.0


def critical_difference(tasks: int, methods: int, level: float = 0.05) -> float:
    """Return how far average ranks must be apart to differ, by the test of Nemenyi.

    With it none of all pairs is called different by chance, but for a risk of ``level``.
    """
    q = float(studentized_range.ppf(1 - level, methods, math.inf))
    return q * _error(tasks, methods)


def nemenyi_p(values: Array) -> Array:
    """Return the p-values of Nemenyi's test between all pairs of methods, (M, M).

    Args:
        values: (T, M).
    """
    tasks, methods = values.shape
    ranks = average_ranks(values)
    apart = np.abs(ranks[:, None] - ranks[None, :]) / _error(tasks, methods)
    found: Array = studentized_range.sf(apart, methods, math.inf)
    return found


def _ranks(values: Array) -> Array:
    found: Array = rankdata(values, axis=1)
    return found


def _error(tasks: int, methods: int) -> float:
    """Return what a difference of average ranks is divided by to be a studentized range."""
    return math.sqrt(methods * (methods + 1) / (12 * tasks))
