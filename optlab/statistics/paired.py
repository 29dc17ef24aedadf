"""Tests of differences between two methods that ran with the same seeds.

A seed fixes initial weights and the order of the data, so both runs of a pair share that luck.
Values are such that the lowest is best, or the highest: tests have two sides. An infinite value is
a run that diverged; tests then go by rank and sign, and no pair is dropped.

Values that are recorded in single precision are rounded, and accuracies, which are whole numbers of
rows, tie often: without a word on the rounding (`rounding`), ties would be broken by it, and
p-values be too small by up to a half.
"""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata, wilcoxon

Array = npt.NDArray[np.float64]

SINGLE = 2.0**-24  # share of a value by which single precision rounds it, at most
EXACT_PAIRS = 16  # up to here all 65,536 choices of signs are tried
FLIPS = 50_000  # enough for a p-value of 0.05 after Holm's correction for 2,500 tests
SEED = 20_260_001  # of the signs drawn beyond: the same pairs have the same p-value


def differences(first: Array, second: Array) -> Array:
    """Return first - second by pair, 0 where both are infinite alike."""
    both = np.isinf(first) & (first == second)
    return np.where(both, 0.0, first) - np.where(both, 0.0, second)


def rounding(first: Array, second: Array) -> Array:
    """Return by how much single precision may have moved each difference, 0 of infinite ones."""
    moved = SINGLE * (np.abs(first) + np.abs(second))
    return np.where(np.isinf(moved), 0.0, moved)


def sign_flip_p(differences: Array, rounding: Array | float = 0.0) -> float:
    """Return the two-sided p-value of the permutation test that flips the signs of differences.

    If two methods are alike, a difference is as likely as its negative. p is the share of all 2^n
    choices of signs whose sum is at least as far from 0 as the one found; beyond 16 pairs, of
    50,000 choices drawn at random and the one found (Phipson and Smyth 2010), the same at every
    call. Where a difference is infinite, sums are of signed ranks instead (Wilcoxon 1945).

    Args:
        differences: By pair, (n).
        rounding: By how much each may have been moved, (n); sums that it may have set apart are
            equal.

    Returns:
        In (0, 1], nan without pairs.
    """
    n = len(differences)
    if not n:
        return math.nan
    by_rank = bool(np.isinf(differences).any())
    scores = _signed_ranks(differences, rounding) if by_rank else differences
    scale = np.abs(scores).max() or 1.0
    scores = scores / scale
    moved = 0.0 if by_rank else 2 * float(np.broadcast_to(rounding, n).sum()) / scale
    sums = np.abs(_signs(n) @ scores)
    reached = sums >= abs(scores.sum()) - moved - 1e-9  # equal sums differ by rounding
    if n <= EXACT_PAIRS:
        return float(reached.mean())
    return float((reached.sum() + 1) / (len(reached) + 1))


def wilcoxon_p(differences: Array, rounding: Array | float = 0.0) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test; infinite differences rank last.

    Pairs without a difference are left out, as Wilcoxon did; 1 where none has one, nan without
    pairs.

    Args:
        differences: By pair, (n).
        rounding: By how much each may have been moved, (n); those that it may have set apart tie.
    """
    if not len(differences):
        return math.nan
    there = differences != 0
    ranks = _signed_ranks(differences[there], np.broadcast_to(rounding, there.shape)[there])
    return float(wilcoxon(ranks).pvalue) if len(ranks) else 1.0


def smallest_p(pairs: int) -> float:
    """Return the lowest two-sided p-value that so many pairs can give: all signs agree."""
    return min(1.0, 2.0 ** (1 - pairs))


def pairs_needed(p: float) -> int:
    """Return how many pairs it takes at least to reach a p-value of ``p``, in (0, 1]."""
    return math.ceil(1 - math.log2(p) - 1e-9)


def _signed_ranks(differences: Array, rounding: Array | float) -> Array:
    """Return the rank of each absolute difference with the sign of the difference."""
    order = np.argsort(np.abs(differences), kind="stable")
    sizes, moved = np.abs(differences)[order], np.broadcast_to(rounding, order.shape)[order]
    # Neighbours that rounding may have set apart are one step; inf is not larger than inf.
    steps = sizes[1:] > sizes[:-1] + moved[1:] + moved[:-1]
    places = np.empty(len(order))
    places[order] = np.cumsum(np.concatenate([[0], steps]))
    found: Array = np.sign(differences) * rankdata(places)
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
