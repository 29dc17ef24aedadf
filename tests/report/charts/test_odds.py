import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from optlab.report.charts.odds import from_log_odds, log_odds, round_accuracies


@given(st.floats(0, 1))
def test_log_odds_of_accuracies_are_finite_and_have_an_inverse(accuracy: float) -> None:
    odds = log_odds(np.array([accuracy]))
    assert np.isfinite(odds).all()
    np.testing.assert_allclose(from_log_odds(odds), [accuracy], rtol=0, atol=1e-12)


def test_log_odds_are_symmetric_and_stretch_the_ends() -> None:
    odds = log_odds(np.array([0.0, 0.01, 0.1, 0.5, 0.9, 0.99, 1.0]))
    np.testing.assert_allclose(odds, -odds[::-1], atol=1e-12)  # rounding of 1 - a
    assert odds[5] - odds[4] > odds[4] - odds[3] - 0.2


def test_log_odds_take_the_ends_of_an_axis_beyond_0_and_1() -> None:
    assert np.isfinite(log_odds(np.array([-0.1, 1.1]))).all()


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.02, 0.3))
def test_round_accuracies_lie_in_order_inside_with_room_between(
    one: float, other: float, room: float
) -> None:
    low, high = sorted(float(odds) for odds in log_odds(np.array([one, other])))
    places = np.array(list(round_accuracies((low, high), room).values()))
    assert ((low <= places) & (places <= high)).all()
    assert (np.diff(places) >= room * (high - low)).all()
    assert (np.diff(places) > 0).all()
