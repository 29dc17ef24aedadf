import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from optlab.statistics.intervals import (
    Interval,
    iqm,
    iqm_interval,
    mean_interval,
    share_interval,
)

SWEEPS = 2000
# Three standard errors of a share of 0.95 of so many sweeps; seeds are fixed.
ROOM = 3 * math.sqrt(0.95 * 0.05 / SWEEPS)
VALUES = arrays(np.float64, st.integers(2, 12), elements=st.floats(-10, 10))


def strata_of(*sizes: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [place + rng.normal(size=size) for place, size in enumerate(sizes)]


def coverage(interval: Callable[[int], Interval], truth: float) -> float:
    found = [interval(sweep) for sweep in range(SWEEPS)]
    return sum(each.low <= truth <= each.high for each in found) / SWEEPS


@given(VALUES.filter(lambda values: np.ptp(values) > 1e-6))
def test_the_interval_of_a_mean_is_that_of_scipy(values: np.ndarray) -> None:
    found = mean_interval(values)
    expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    # Rounding of a difference of numbers up to 10.
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert found.estimate == pytest.approx(np.mean(values), abs=1e-12)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.inf]])
def test_too_few_values_or_an_infinite_one_have_no_interval(values: list[float]) -> None:
    found = mean_interval(np.array(values))
    assert math.isnan(found.low)
    assert math.isnan(found.high)


@pytest.mark.parametrize("value", [0.0, 0.9694, 1.0, 1e6])
@pytest.mark.parametrize("n", [2, 3, 7])
def test_equal_values_do_not_tell_their_spread(value: float, n: int) -> None:
    for interval in (mean_interval, share_interval):
        found = interval(np.full(n, value))
        assert found.estimate == pytest.approx(value)
        assert [math.isnan(end) for end in (found.low, found.high)] == [True, True]


@given(
    arrays(np.float64, st.integers(2, 6), elements=st.floats(0, 1)).filter(
        lambda values: np.ptp(values) > 1e-6
    )
)
def test_the_interval_of_accuracies_stays_inside_0_and_1(values: np.ndarray) -> None:
    found, turned = share_interval(values), share_interval(1 - values)
    assert 0.0 <= found.low <= found.estimate + 1e-12
    assert found.estimate - 1e-12 <= found.high <= 1.0
    assert turned.low == pytest.approx(1 - found.high, abs=1e-6)


def test_at_its_ends_a_mean_is_as_far_away_as_its_own_spread_allows() -> None:
    values = np.array([0.9, 0.95, 0.99, 0.97])
    found = share_interval(values)
    mean, half = found.estimate, mean_interval(values).high - found.estimate
    for end in (found.low, found.high):
        allowed = half**2 * end * (1 - end) / (mean * (1 - mean))
        assert (end - mean) ** 2 == pytest.approx(allowed)


@given(arrays(np.float64, st.sampled_from([4, 8, 12]), elements=st.floats(-10, 10)))
def test_the_interquartile_mean_is_the_trimmed_mean_of_scipy(values: np.ndarray) -> None:
    assert iqm(values) == pytest.approx(stats.trim_mean(values, 0.25), abs=1e-9)


@given(VALUES)
def test_the_interquartile_mean_is_that_of_each_value_four_times(values: np.ndarray) -> None:
    # Four copies have quartiles between values whatever their number.
    assert iqm(values) == pytest.approx(stats.trim_mean(np.tile(values, 4), 0.25), abs=1e-9)


def test_weights_are_as_good_as_copies() -> None:
    values = np.array([3.0, 1.0, 7.0, 5.0])
    copies = np.repeat(values, [1, 2, 3, 2])
    assert iqm(values, np.array([1.0, 2, 3, 2])) == pytest.approx(float(iqm(copies)))


def test_the_interquartile_mean_is_along_the_last_axis() -> None:
    values = np.random.default_rng(0).normal(size=(2, 3, 7))
    np.testing.assert_allclose(iqm(values)[1, 2], iqm(values[1, 2]))


@pytest.mark.parametrize(("lost", "is_finite"), [(1, True), (2, True), (3, False)])
def test_it_stays_finite_up_to_a_quarter_of_infinite_values(lost: int, is_finite: bool) -> None:
    values = np.arange(8.0)
    values[-lost:] = math.inf
    assert math.isfinite(iqm(values)) is is_finite


def test_strata_count_alike_whatever_their_sizes() -> None:
    low, high = np.zeros(3), np.ones(9)
    assert iqm_interval([low, high]).estimate == pytest.approx(0.5)


@given(scale=st.floats(0.1, 10), shift=st.floats(-5, 5))
def test_the_interval_goes_with_units_and_origin(scale: float, shift: float) -> None:
    strata = strata_of(3, 5)
    before = iqm_interval(strata, 50)
    after = iqm_interval([scale * own + shift for own in strata], 50)
    assert after.low == pytest.approx(scale * before.low + shift, abs=1e-9)
    assert after.high == pytest.approx(scale * before.high + shift, abs=1e-9)


def test_the_same_values_have_the_same_interval_whatever_else_was_drawn() -> None:
    first = iqm_interval(strata_of(5, 5))
    iqm_interval(strata_of(4, 4, seed=1))
    assert iqm_interval(strata_of(5, 5)) == first


def test_equal_values_have_an_interval_of_no_width() -> None:
    assert iqm_interval([np.full(3, 0.5), np.full(4, 0.5)]) == Interval(0.5, 0.5, 0.5)


def test_one_value_in_a_stratum_or_an_infinite_one_leaves_no_interval() -> None:
    single = iqm_interval(strata_of(5, 1))
    lost = iqm_interval([np.array([1.0, 2, 3, 4, math.inf])])
    assert math.isfinite(single.estimate)
    assert lost.estimate == 3.0
    assert [math.isnan(end) for end in (single.low, lost.high)] == [True, True]


@pytest.mark.parametrize("n", [3, 10])
def test_the_interval_of_a_mean_covers_the_truth(n: int) -> None:
    drawn = np.exp(0.3 * np.random.default_rng(0).normal(size=(SWEEPS, n)))  # losses, skewed
    found = coverage(lambda sweep: mean_interval(drawn[sweep]), math.exp(0.3**2 / 2))
    assert 0.93 - ROOM <= found <= 0.97


@pytest.mark.parametrize("n", [3, 10])
def test_the_interval_of_accuracies_near_1_covers_the_truth(n: int) -> None:
    rng = np.random.default_rng(0)
    drawn = rng.binomial(360, rng.beta(120 * 0.985, 120 * 0.015, size=(SWEEPS, n))) / 360
    found = coverage(lambda sweep: share_interval(drawn[sweep]), 0.985)
    assert 0.93 <= found <= 0.97


@pytest.mark.parametrize(("tasks", "n"), [(1, 5), (4, 3)])
def test_the_interval_of_an_interquartile_mean_covers_the_truth(tasks: int, n: int) -> None:
    rng = np.random.default_rng(1)
    spreads = np.array([1.0, 2.0, 2.0, 1.0])[:tasks, None]
    drawn = np.arange(tasks)[:, None] + spreads * rng.normal(size=(SWEEPS, tasks, n))
    truth = (tasks - 1) / 2  # all is symmetric
    found = coverage(lambda sweep: iqm_interval([*drawn[sweep]], 200), truth)
    assert 0.93 <= found <= 0.97 + ROOM
