import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optlab.statistics.best_of_k import best_so_far, expected_best, quantile_best

FINITE = st.lists(st.floats(-10, 10), min_size=1, max_size=7).map(np.array)
ANY = st.lists(st.integers(0, 5).map(float) | st.just(math.inf), min_size=1, max_size=7).map(
    np.array
)


def bests(values: np.ndarray, k: int) -> list[float]:
    """Return the lowest of every subset of k."""
    return [min(subset) for subset in combinations(values.tolist(), k)]


@given(FINITE)
def test_the_expectation_is_over_all_subsets(values: np.ndarray) -> None:
    expected = [np.mean(bests(values, k)) for k in range(1, len(values) + 1)]
    np.testing.assert_allclose(expected_best(values), expected, atol=1e-9)


@given(ANY)
def test_the_expectation_is_infinite_as_long_as_a_subset_may_have_diverged(
    values: np.ndarray,
) -> None:
    expected = [max(bests(values, k)) == math.inf for k in range(1, len(values) + 1)]
    assert np.isinf(expected_best(values)).tolist() == expected


@given(ANY, st.sampled_from([0.1, 0.25, 0.5, 0.75, 1.0]))
def test_a_quantile_is_over_all_subsets(values: np.ndarray, level: float) -> None:
    expected = [
        np.quantile(bests(values, k), level, method="inverted_cdf")
        for k in range(1, len(values) + 1)
    ]
    assert quantile_best(values, level).tolist() == expected


def test_many_trials_keep_their_digits() -> None:
    # The lowest of k of 1, ..., n is (n + 1) / (k + 1) on average.
    n = 2000
    k = np.arange(1, n + 1)
    np.testing.assert_allclose(expected_best(np.arange(1.0, n + 1)), (n + 1) / (k + 1), rtol=1e-9)


def test_some_budgets_are_those_of_all() -> None:
    values, some = np.array([3.0, 1.0, 2.0, math.inf, 5.0]), np.array([1.0, 3.0, 5.0])
    np.testing.assert_array_equal(expected_best(values, some), expected_best(values)[::2])
    np.testing.assert_array_equal(quantile_best(values, 0.3, some), quantile_best(values, 0.3)[::2])


def test_nested_budgets_keep_the_order_of_trials() -> None:
    found = best_so_far(np.array([[3.0, math.inf, 1.0, 2.0], [math.inf, 5.0, 6.0, 4.0]]))
    assert found.tolist() == [[3, 3, 1, 1], [math.inf, 5, 5, 4]]


@pytest.mark.parametrize("values", [[], [math.nan, 1.0]])
def test_what_has_no_best_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="without nan"):
        expected_best(np.array(values))


def test_a_level_that_is_no_share_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(0, 1\], got 0"):
        quantile_best(np.ones(2), 0.0)
