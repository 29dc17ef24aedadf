import math

import pytest

from optlab.types import Range


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        (Range(low=0.0), [0.0, 1e9], [-1e-9]),
        (Range(low=0.0, open_low=True), [1e-300], [0.0]),
        (Range(high=1.0), [1.0, -1e9], [1.0 + 1e-9]),
        (Range(high=1.0, open_high=True), [0.999], [1.0]),
        (Range(), [-1e300, 0.0, 1e300], []),
    ],
)
def test_interval_holds_its_bound_only_where_closed(
    interval: Range, inside: list[float], outside: list[float]
) -> None:
    assert all(value in interval for value in inside)
    assert not any(value in interval for value in outside)


def test_nan_lies_in_no_interval() -> None:
    assert math.nan not in Range()


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Range(low=0.0, high=1.0, open_high=True), "[0, 1)"),
        (Range(low=0.0, open_low=True), "(0, inf)"),
        (Range(high=3.0), "(-inf, 3]"),
    ],
)
def test_interval_is_written_as_in_mathematics(interval: Range, text: str) -> None:
    assert str(interval) == text
