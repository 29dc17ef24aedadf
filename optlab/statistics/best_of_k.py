"""What tuning brings: the best value found with k trials, from one search of n trials.

Values are such that the lowest is best; pass the negative of an accuracy. Infinite ones are trials
that diverged, and count as what they are.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def expected_best(values: Array, budgets: Array | None = None) -> Array:
    """Return the expected lowest of k of the n values, drawn without replacement.

    It is exact: over all subsets of k of the n trials. Infinite as long as some subset has no
    finite value, that is until k exceeds the number of infinite ones; see `quantile_best` for
    what stays finite.

    Args:
        values: Results of n trials in any order, (n).
        budgets: The k that are asked for, from 1 to n, (K); by default all of them.

    Returns:
        Expectation by budget, (K).

    Source: Dodge et al. (2019), which draws with replacement; without: Sivaprasad et al. (2020).
    """
    ordered = _sorted(values)
    weights = _chances(len(ordered), budgets)
    # An infinite value of weight 0 has no say.
    terms = np.multiply(weights, ordered, out=np.zeros_like(weights), where=weights > 0)
    total: Array = terms.sum(axis=1)
    return total


def quantile_best(values: Array, level: float = 0.5, budgets: Array | None = None) -> Array:
    """Return a quantile of the lowest of k of the n values, drawn without replacement.

    It is the lowest of the values that is reached with a probability of at least ``level``.

    Args:
        values: Results of n trials in any order, (n).
        level: In (0, 1]; 0.5 is the median.
        budgets: The k that are asked for, from 1 to n, (K); by default all of them.

    Returns:
        Quantile by budget, (K); some of the values, which may be infinite.
    """
    if not 0.0 < level <= 1.0:
        raise ValueError(f"level must be in (0, 1], got {level}")
    ordered = _sorted(values)
    reached = np.cumsum(_chances(len(ordered), budgets), axis=1)
    # Cumulated chances miss 1 by rounding.
    places = (reached >= level - 1e-9).argmax(axis=1)
    found: Array = ordered[places]
    return found


def best_so_far(values: Array) -> Array:
    """Return the lowest value of the first k trials, for k = 1 to n: nested budgets.

    Args:
        values: Results in the order of the trials, (..., n).
    """
    found: Array = np.minimum.accumulate(values, axis=-1)
    return found


def _sorted(values: Array) -> Array:
    if values.ndim != 1 or not len(values) or np.isnan(values).any():
        raise ValueError(f"values must be one or more numbers without nan, got {values}")
    found: Array = np.sort(values)
    return found


def _chances(n: int, budgets: Array | None) -> Array:
    """Return how likely the i-th lowest of n is the lowest of k drawn, (K, n).

    That is C(n - 1 - i, k - 1) / C(n, k) with i from 0, here by the ratio of neighbours.
    """
    wanted = np.arange(1, n + 1) if budgets is None else budgets
    k, i = wanted[:, None], np.arange(n - 1)[None, :]
    steps = np.clip(n - k - i, 0, None) / (n - 1 - i)
    found: Array = np.cumprod(np.concatenate([k / n, steps], axis=1), axis=1)
    return found
