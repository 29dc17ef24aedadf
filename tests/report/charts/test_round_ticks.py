import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optlab.report.charts.round_ticks import round_log_ticks, round_ticks


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_lie_inside_in_order_and_are_neither_many_nor_few(low: float, width: float) -> None:
    ticks = [at for at, _ in round_ticks(low, low + width)]
    assert 2 <= len(ticks) <= 7
    assert (np.diff(ticks) > 0).all()
    assert low - 1e-6 * width <= ticks[0]
    assert ticks[-1] <= low + width * (1 + 1e-6)


@given(st.floats(-30, 30), st.floats(0.05, 40))
def test_logarithmic_ticks_lie_inside(low: float, width: float) -> None:
    ticks = round_log_ticks(low, low + width)
    assert 1 <= len(ticks) <= 9
    assert all(low - 1e-9 <= at <= low + width + 1e-9 for at, _ in ticks)  # rounding of 10**low


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (math.log10(0.4), math.log10(30), ["0.5", "1", "2", "5", "10", "20"]),
        (-5.5, -2.5, ["10⁻⁵", "10⁻⁴", "0.001"]),
        (-4.3, 0.4, ["10⁻⁴", "0.001", "0.01", "0.1", "1"]),
        (-12.0, 12.0, ["10⁻¹²", "10⁻⁷", "0.01", "1000", "10⁸"]),
    ],
)
def test_very_small_and_large_ticks_are_powers(low: float, high: float, texts: list[str]) -> None:
    assert [text for _, text in round_log_ticks(low, high)] == texts
