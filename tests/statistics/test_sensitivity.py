import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optlab.statistics.sensitivity import edge, good_window, lr_sensitivity

RATES = np.array([1e-4, 1e-3, 1e-2, 1e-1])


def losses(*values: float) -> np.ndarray:
    return np.array(values)


def test_the_window_ends_where_the_loss_crosses_what_is_good() -> None:
    found = good_window(RATES, losses(3.0, 2.0, 1.0, 3.0), good=1.5)
    assert found.low == pytest.approx(10**-2.5)  # half way from 2 to 1 on the log axis
    assert found.high == pytest.approx(10**-1.75)
    assert found.decades == pytest.approx(0.75)
    assert (found.is_cut_low, found.is_cut_high) == (False, False)


def test_a_window_is_cut_where_the_grid_ends_and_stops_before_divergence() -> None:
    found = good_window(RATES, losses(1.2, 1.0, 1.1, math.inf), good=1.5)
    assert (found.low, found.high) == (1e-4, 1e-2)
    assert (found.is_cut_low, found.is_cut_high) == (True, False)


def test_a_good_rate_beyond_a_bad_one_is_not_in_the_window() -> None:
    found = good_window(RATES, losses(1.0, 9.0, 1.1, 1.2), good=1.5)
    assert found.high < RATES[1]


def test_no_window_where_nothing_is_good() -> None:
    found = good_window(RATES, np.full(4, math.inf), good=1.0)
    assert math.isnan(found.decades)


@given(st.permutations(range(4)), st.floats(0.01, 100))
def test_neither_order_nor_unit_of_rates_matters(order: list[int], unit: float) -> None:
    values = losses(3.0, 1.0, 1.4, math.inf)
    before, after = (
        good_window(RATES, values, 1.5),
        good_window(RATES[order] * unit, values[order], 1.5),
    )
    assert after.decades == pytest.approx(before.decades)
    assert lr_sensitivity(RATES[order] * unit, values[order], 2.3) == pytest.approx(
        lr_sensitivity(RATES, values, 2.3)
    )


def test_sensitivity_is_the_mean_over_the_logarithm_of_the_rate() -> None:
    # On a fine even grid a plain mean over the grid is the same thing (Wortsman et al. 2023).
    rates = np.logspace(-5, 0, 2001)
    values = 1.0 + (np.log10(rates) + 2.5) ** 2
    clipped = np.minimum(values, 3.0)
    assert lr_sensitivity(rates, values, 3.0) == pytest.approx((clipped - 1.0).mean(), rel=1e-3)


def test_sensitivity_of_an_uneven_grid_is_that_of_its_line() -> None:
    fine = np.logspace(-4, -1, 7)
    line = np.interp(np.log(fine), np.log(RATES), [2.0, 1.0, 1.5, 1.8])
    uneven = np.delete(np.arange(7), [1])
    assert lr_sensitivity(fine[uneven], line[uneven], 9.0) == pytest.approx(
        lr_sensitivity(RATES, losses(2.0, 1.0, 1.5, 1.8), 9.0)
    )


@pytest.mark.parametrize("lost", [math.inf, math.nan, 1e9])
def test_a_diverged_rate_counts_as_the_initial_loss(lost: float) -> None:
    found = lr_sensitivity(RATES, losses(1.0, 1.0, 1.0, lost), initial=2.3)
    assert found == pytest.approx(1.3 / 2 / 3)


def test_nothing_to_be_sensitive_to() -> None:
    assert lr_sensitivity(RATES, np.full(4, math.inf), 2.3) == 0.0
    assert math.isnan(lr_sensitivity(RATES[:1], losses(1.0), 2.3))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1.0, 2.0, 3.0, math.inf), "low"),
        ((4.0, 3.0, 2.0, 1.0), "high"),
        ((4.0, 1.0, 2.0, 3.0), ""),
        ((1.0, 1.0, 2.0, 3.0), ""),  # as good inside
        ((math.inf, math.inf, math.inf, math.inf), ""),
    ],
)
def test_the_edge_that_the_best_rate_sits_on(values: tuple[float, ...], expected: str) -> None:
    assert edge(RATES, losses(*values)) == expected


def test_one_rate_is_no_grid() -> None:
    assert edge(RATES[:1], losses(1.0)) == ""


@pytest.mark.parametrize(
    ("rates", "message"),
    [([0.0, 1.0], "above 0 and each once"), ([1.0, 1.0], "each once"), ([1.0], "one loss for")],
)
def test_rates_that_make_no_axis_are_refused(rates: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        edge(np.array(rates), losses(1.0, 2.0))
