"""Performance profiles: on what share of tasks a method is within a factor of the best one.

Source: Dolan and More (2002); the integrated score is that of Dahl et al. (2023), AlgoPerf.

Methods M, tasks T.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

TAU = 4.0  # AlgoPerf: whoever takes four times as long as the best gets nothing for the task


def ratios(costs: Array) -> Array:
    """Return each cost as a multiple of the lowest cost of its task, (M, T).

    Args:
        costs: What each method took to reach each task's target, at least 0, (M, T). Infinite is a
            miss, and so is nan: a method that was not run has not reached the target.

    Returns:
        At least 1; infinite where a method missed, for all where every method did.
    """
    taken = np.where(np.isnan(costs), np.inf, costs)
    if (taken < 0).any():
        raise ValueError(f"costs must be at least 0, got {taken.min()}")
    best = taken.min(axis=0, keepdims=True)
    found = np.full(taken.shape, np.inf)
    np.divide(taken, best, out=found, where=np.isfinite(taken) & (best > 0))
    found[(taken == best) & np.isfinite(taken)] = 1.0  # also where the best took nothing
    return found


def profile(ratios: Array, taus: Array) -> Array:
    """Return the share of tasks that each method ends within each factor, (M, len(taus)).

    Args:
        ratios: Multiples of the best, (M, T).
        taus: Factors, at least 1.
    """
    within: Array = (ratios[:, None, :] <= taus[:, None]).mean(axis=2)
    return within


def integrated_score(ratios: Array, tau: float = TAU) -> Array:
    """Return the mean height of each method's profile between 1 and tau, from 0 to 1, (M).

    It is the exact integral: a task adds to it from its ratio on, so (tau - ratio) / (tau - 1).

    Args:
        ratios: Multiples of the best, (M, T).
        tau: Where the profile ends, above 1.
    """
    if not tau > 1.0:
        raise ValueError(f"tau must be above 1, got {tau}")
    shares: Array = (np.clip(tau - ratios, 0.0, None) / (tau - 1.0)).mean(axis=1)
    return shares
