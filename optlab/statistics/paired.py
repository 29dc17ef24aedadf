"""Tests of differences between two methods that ran with the same seeds.

A seed fixes initial weights and the order of the data, so both runs of a pair share that luck.
Values are such that the lowest is best, or the highest: tests have two sides. An infinite value is
a run that diverged; tests then go by rank and sign, and no pair is dropped.
"""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata, wilcoxon

Array = npt.NDArray[np.float64]

EXACT_PAIRS = 16  # up to here all 65,536 choices of signs are tried
FLIPS = 50_000  # enough for a p-value of 0.05 after Holm's correction for 2,500 tests
SEED = 20_260_001  # of the signs drawn beyond: the same pairs have the same p-value


def differences(first: Array, second: Array) -> Array:
    """Return first - second by pair, 0 where both are infinite alike."""
    both = np.isinf(first) & (first == second)
    return np.where(both, 0.0, first) - np.where(both, 0.0, second)


def sign_flip_p(differences: Array) -> float:
    """Return the two-sided p-value of the permutation test that flips the signs of differences.

    If two methods are alike, a difference is as likely as its negative. p is the share of all 2^n
    choices of signs whose sum is at least as far from 0 as the one found; beyond 16 pairs, of
    50,000 choices drawn at random and the one found (Phipson and Smyth 2010), the same at every
    call. Where a difference is infinite, sums are of signed ranks instead (Wilcoxon 1945).

    Args:
        differences: By pair, (n).

    Returns:
        In (0, 1], nan without pairs.
    """
    scores = _signed_ranks(differences) if np.isinf(differences).any() else differences
    n = len(scores)
    if not n:
        return math.nan
    scale = np.abs(scores).max() or 1.0
    scores = scores / scale
    sums = np.abs(_signs(n) @ scores)
    reached = sums >= abs(scores.sum()) - 1e-9  # equal sums differ by rounding
    if n <= EXACT_PAIRS:
        return float(reached.mean())
    return float((reached.sum() + 1) / (len(reached) + 1))


def wilcoxon_p(differences: Array) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test; infinite differences rank last.

    Pairs without a difference are left out, as Wilcoxon did; 1 where none has one, nan without
    pairs.
    """
    if not len(differences):
        return math.nan
    ranks = _signed_ranks(differences[differences != 0])
    return float(wilcoxon(ranks).pvalue) if len(ranks) else 1.0


def smallest_p(pairs: int) -> float:
    """Return the lowest two-sided p-value that so many pairs can give: all signs agree."""
    return min(1.0, 2.0 ** (1 - pairs))


def pairs_needed(p: float) -> int:
    """Return how many pairs it takes at least to reach a p-value of ``p``, in (0, 1]."""
    return math.ceil(1 - math.log2(p) - 1e-9)


def _signed_ranks(differences: Array) -> Array:
    """Return the rank of each absolute difference with the sign of the difference."""
    found: Array = np.sign(differences) * rankdata(np.abs(differences))
    return found


@lru_cache(maxsize=4)
def _signs(pairs: int) -> Array:
    """Return choices of signs, (choices, pairs): all with a first +, or many at random.

    Those with a first - are the same with all signs turned, and as far from 0.
    """
    if pairs <= EXACT_PAIRS:
        bits = np.arange(2 ** (pairs - 1))[:, None] >> np.arange(pairs)[::-1] & 1
    else:
        bits = np.random.default_rng(SEED).integers(2, size=(FLIPS, pairs))
    return np.asarray(1.0 - 2.0 * bits, dtype=np.float64)
