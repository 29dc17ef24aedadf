import math

import numpy as np
import pytest
import scikit_posthocs
from scipy import stats

from optlab.statistics.across_tasks import (
    average_ranks,
    critical_difference,
    friedman_p,
    nemenyi_p,
)


def tied(tasks: int, methods: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, size=(tasks, methods)).astype(float)


@pytest.mark.parametrize(("tasks", "methods"), [(3, 3), (4, 7), (12, 5)])
def test_friedman_with_ties_is_that_of_scipy(tasks: int, methods: int) -> None:
    values = tied(tasks, methods, seed=tasks)
    assert friedman_p(values) == pytest.approx(stats.friedmanchisquare(*values.T).pvalue)


def test_nemenyi_is_that_of_scikit_posthocs() -> None:
    values = tied(6, 5, seed=0)
    expected = scikit_posthocs.posthoc_nemenyi_friedman(values).to_numpy()
    np.testing.assert_allclose(nemenyi_p(values), expected, atol=1e-9)


@pytest.mark.parametrize(("methods", "q"), [(2, 1.960), (5, 2.728), (10, 3.164)])
def test_critical_differences_are_those_of_the_table(methods: int, q: float) -> None:
    # Demsar (2006), table 5(a), to its three decimals.
    expected = q * math.sqrt(methods * (methods + 1) / (6 * 14))
    assert critical_difference(14, methods) == pytest.approx(expected, rel=5e-4)


@pytest.mark.parametrize("tasks", [3, 4, 5, 6, 7, 8])
def test_a_critical_difference_is_where_the_p_value_is_five_percent(tasks: int) -> None:
    values = np.array([[1.0, 2.0, 3.0]] * tasks)  # two ranks apart: enough for six tasks
    assert (nemenyi_p(values)[0, 2] <= 0.05) == (critical_difference(tasks, 3) <= 2.0)
    assert (critical_difference(tasks, 3) <= 2.0) == (tasks >= 3)


def test_infinite_values_rank_last_and_equal_ones_share() -> None:
    values = np.array([[1.0, math.inf, math.inf], [2.0, 1.0, math.inf]])
    assert average_ranks(values).tolist() == [1.5, 1.75, 2.75]


def test_ranks_know_nothing_of_the_units_of_a_task() -> None:
    values = np.random.default_rng(0).normal(size=(5, 4))
    other = values * np.array([[1.0], [100], [0.01], [3], [7]]) + 5
    assert friedman_p(other) == friedman_p(values)


def test_nothing_to_tell_apart() -> None:
    assert friedman_p(np.ones((4, 3))) == 1.0
    assert math.isnan(friedman_p(np.ones((4, 2))))
    assert math.isnan(friedman_p(np.ones((1, 4))))


def test_alike_methods_differ_in_at_most_five_percent_of_sweeps() -> None:
    rng = np.random.default_rng(0)
    sweeps = rng.normal(size=(2000, 8, 5))
    room = 3 * math.sqrt(0.05 * 0.95 / 2000)  # three standard errors
    assert 0.02 < np.mean([friedman_p(values) <= 0.05 for values in sweeps]) <= 0.05 + room
    apart = [np.ptp(average_ranks(values)) for values in sweeps]
    assert 0.02 < np.mean(np.array(apart) >= critical_difference(8, 5)) <= 0.05 + room
