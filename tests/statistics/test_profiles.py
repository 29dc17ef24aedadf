import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from optlab.statistics.profiles import TAU, integrated_score, profile, ratios

COSTS = arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(1, 5)),
    elements=st.floats(0.1, 100) | st.just(math.inf),
)


def test_costs_become_multiples_of_the_best_and_misses_stay_infinite() -> None:
    costs = np.array([[10.0, math.inf, 30.0], [20.0, math.inf, math.nan]])
    np.testing.assert_array_equal(ratios(costs), [[1.0, math.inf, 1.0], [2.0, math.inf, math.inf]])


def test_a_cost_of_nothing_is_best_and_all_others_are_infinitely_worse() -> None:
    assert ratios(np.array([[0.0], [0.0], [5.0]])).ravel().tolist() == [1.0, 1.0, math.inf]


def test_negative_costs_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 0, got -1"):
        ratios(np.array([[-1.0]]))


def test_a_profile_counts_tasks_within_a_factor() -> None:
    found = profile(np.array([[1.0, 3.0], [2.0, math.inf]]), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(found, [[0.5, 0.5, 1.0], [0.0, 0.5, 0.5]])


@given(COSTS)
def test_the_score_is_the_area_under_the_profile(costs: np.ndarray) -> None:
    multiples = ratios(costs)
    taus = np.linspace(1.0, TAU, 20_001)
    heights = profile(multiples, taus)
    area = ((heights[:, 1:] + heights[:, :-1]) / 2).mean(axis=1)
    # A step lies anywhere in an interval of the grid.
    np.testing.assert_allclose(integrated_score(multiples), area, atol=1e-4)


@given(COSTS, st.floats(0.01, 100))
def test_the_score_knows_no_unit(costs: np.ndarray, unit: float) -> None:
    before, after = ratios(costs), ratios(costs * unit)
    np.testing.assert_allclose(integrated_score(after), integrated_score(before), atol=1e-9)


def test_beyond_tau_a_task_earns_nothing_and_the_best_of_all_earns_one() -> None:
    assert integrated_score(np.array([[1.0, 1.0], [4.0, 9.0]])).tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match="above 1, got 1"):
        integrated_score(np.ones((1, 1)), tau=1.0)
