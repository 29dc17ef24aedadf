import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from optlab.statistics.paired import (
    EXACT_PAIRS,
    differences,
    pairs_needed,
    rounding,
    sign_flip_p,
    smallest_p,
    wilcoxon_p,
)

# Eighths: their sums have no rounding, so ties are ties.
DIFFERENCES = arrays(
    np.float64, st.integers(1, 7), elements=st.integers(-20, 20).map(lambda i: i / 8)
)


@given(DIFFERENCES)
def test_the_exact_p_value_is_that_of_scipy(found: np.ndarray) -> None:
    if len(found) < 2:
        assert sign_flip_p(found) == 1.0
        return
    test = stats.permutation_test(
        (found,),
        lambda x, axis: np.abs(x.sum(axis=axis)),
        permutation_type="samples",
        n_resamples=np.inf,
        alternative="greater",
        vectorized=True,
    )
    assert sign_flip_p(found) == pytest.approx(test.pvalue)


@given(DIFFERENCES, st.floats(1e-6, 1e6))
def test_the_p_value_knows_neither_unit_nor_direction(found: np.ndarray, unit: float) -> None:
    assert sign_flip_p(-unit * found) == sign_flip_p(found)


def test_beyond_the_exact_number_of_pairs_signs_are_drawn_and_the_p_value_repeats() -> None:
    found = np.random.default_rng(0).normal(loc=0.4, size=EXACT_PAIRS + 1)
    normal = 2 * stats.norm.sf(abs(found.sum()) / np.sqrt((found**2).sum()))
    assert sign_flip_p(found) == pytest.approx(normal, rel=0.15)  # the sum is not quite normal
    assert sign_flip_p(found) == sign_flip_p(found.copy())
    assert 0 < sign_flip_p(np.ones(40)) < 1e-4


@pytest.mark.parametrize("n", [1, 3, 5, 10])
def test_the_lowest_p_value_is_reached_where_all_signs_agree(n: int) -> None:
    assert sign_flip_p(np.arange(1.0, n + 1)) == smallest_p(n) == 2.0 ** (1 - n)


@given(st.floats(1e-6, 1.0))
def test_as_many_pairs_are_needed_as_can_reach_a_p_value(p: float) -> None:
    n = pairs_needed(p)
    assert smallest_p(n) <= p * (1 + 1e-9)
    assert n == 1 or smallest_p(n - 1) > p


def test_five_seeds_cannot_show_a_difference_and_six_can() -> None:
    assert smallest_p(5) > 0.05 > smallest_p(6)
    assert pairs_needed(0.05) == 6


def test_an_infinite_difference_counts_as_the_largest_and_is_not_dropped() -> None:
    finite = np.array([1.0, 2.0, -3.0, 4.0, 5.0])
    lost = np.append(finite, math.inf)
    assert sign_flip_p(lost) == sign_flip_p(np.array([1.0, 2, -3, 4, 5, 6]))
    assert wilcoxon_p(lost) == wilcoxon_p(np.append(finite, 99.0))
    assert sign_flip_p(np.append(finite, -math.inf)) > sign_flip_p(lost)


def test_pairs_that_both_diverged_have_no_difference() -> None:
    found = differences(np.array([1.0, math.inf, math.inf]), np.array([3.0, math.inf, 2.0]))
    assert found.tolist() == [-2.0, 0.0, math.inf]


@given(DIFFERENCES.filter(lambda found: len(np.unique(np.abs(found))) == len(found)))
def test_wilcoxon_is_that_of_scipy(found: np.ndarray) -> None:
    kept = found[found != 0]
    assert wilcoxon_p(found) == (stats.wilcoxon(kept).pvalue if len(kept) else 1.0)


@given(arrays(np.int64, st.tuples(st.just(2), st.integers(1, 9)), elements=st.integers(330, 360)))
def test_accuracies_in_single_precision_tie_as_the_numbers_of_rows_do(rows: np.ndarray) -> None:
    shares = (rows / 360).astype(np.float32).astype(np.float64)
    found, moved = differences(*shares), rounding(*shares)
    assert sign_flip_p(found, moved) == sign_flip_p((rows[0] - rows[1]).astype(float))
    assert wilcoxon_p(found, moved) == wilcoxon_p((rows[0] - rows[1]).astype(float))


def test_single_precision_without_a_word_on_it_halves_a_p_value() -> None:
    # Flipping one of the two differences of a row that agree leaves the sum as it is.
    rows = np.array([[351, 349, 353, 352, 347], [350, 348, 350, 353, 350]])
    found = differences(*(rows / 360).astype(np.float32).astype(np.float64))
    assert sign_flip_p(found) < sign_flip_p((rows[0] - rows[1]).astype(float))


def test_what_diverged_is_not_moved_by_rounding() -> None:
    assert rounding(np.array([1.0, math.inf]), np.array([1.0, 2.0])).tolist() == [2.0**-23, 0.0]


def test_no_pairs_have_no_p_value() -> None:
    assert math.isnan(sign_flip_p(np.array([])))
    assert math.isnan(wilcoxon_p(np.array([])))


@pytest.mark.parametrize("n", [6, 9])
def test_alike_methods_differ_in_at_most_five_percent_of_sweeps(n: int) -> None:
    rng = np.random.default_rng(n)
    drawn = rng.exponential(size=(2000, n)) - rng.exponential(size=(2000, n))
    share = np.mean([sign_flip_p(own) <= 0.05 for own in drawn])
    # Three standard errors above, and not so low that the test would find nothing.
    assert 0.02 < share <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)
