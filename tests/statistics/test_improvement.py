import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from optlab.statistics.improvement import improvement, probability

TIED = arrays(np.float64, st.integers(2, 6), elements=st.integers(0, 4).map(float))


@given(TIED, TIED)
def test_it_is_the_statistic_of_mann_and_whitney(first: np.ndarray, second: np.ndarray) -> None:
    u = stats.mannwhitneyu(-first, -second).statistic
    assert probability(first, second) == pytest.approx(u / (len(first) * len(second)))


@given(TIED, TIED)
def test_turned_round_it_is_the_rest(first: np.ndarray, second: np.ndarray) -> None:
    one, other = improvement([first], [second]), improvement([second], [first])
    assert one.estimate == pytest.approx(1 - other.estimate)
    assert one.low == pytest.approx(1 - other.high)
    assert 0.0 <= one.low <= one.estimate <= one.high <= 1.0


def test_runs_that_diverged_lose_and_tie_with_each_other() -> None:
    lost = np.array([math.inf, math.inf])
    assert probability(np.array([1.0, 9.0]), lost) == 1.0
    assert probability(lost, lost) == 0.5


def test_where_all_are_better_the_interval_is_still_wide() -> None:
    found = improvement([np.arange(5.0)], [np.arange(5.0) + 10])
    assert found.estimate == found.high == 1.0
    assert found.low < 0.7


def test_the_interval_ends_where_the_score_says() -> None:
    # Newcombe (2006), method 5: the squared distance is 1.96 squared times the variance there.
    rng = np.random.default_rng(0)
    found = improvement([rng.normal(size=6)], [rng.normal(size=4) + 0.5])
    for end in (found.low, found.high):
        shape = (1 - end) / (2 - end) + end / (1 + end)
        variance = end * (1 - end) / 24 * (1 + 4 * shape)
        assert (end - found.estimate) ** 2 == pytest.approx(1.959964**2 * variance, rel=1e-5)


def test_tasks_count_alike_and_narrow_the_interval() -> None:
    a, b = np.array([1.0, 3.0, 5.0]), np.array([2.0, 4.0, 6.0])
    one, four = improvement([a], [b]), improvement([a] * 4, [b] * 4)
    assert one.estimate == four.estimate
    assert four.high - four.low < 0.75 * (one.high - one.low)


def test_one_value_has_no_interval() -> None:
    found = improvement([np.array([1.0])], [np.array([2.0, 3.0])])
    assert found.estimate == 1.0
    assert math.isnan(found.low)


@pytest.mark.parametrize("ahead", [0.0, 1.8])
def test_the_interval_covers_the_truth(ahead: float) -> None:
    rng, sweeps = np.random.default_rng(5), 2000
    first, second = rng.normal(size=(2, sweeps, 2, 5))  # two tasks, five seeds
    truth = stats.norm.cdf(ahead / math.sqrt(2))
    found = [improvement([*a], [*(b + ahead)]) for a, b in zip(first, second, strict=True)]
    assert 0.93 <= np.mean([each.low <= truth <= each.high for each in found]) <= 0.975
