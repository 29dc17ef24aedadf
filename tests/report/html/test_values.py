import math

import pytest

from optlab.report.html.values import is_number, shown
from optlab.report.page import Value

INF = math.inf


@pytest.mark.parametrize(
    ("values", "digits", "texts"),
    [
        ([0.98, 0.5], 4, ["0.9800", "0.5000"]),
        ([0.98061, 1.0], 4, ["0.9806", "1.0000"]),
        ([0.012, 0.00161], 2, ["0.0120", "0.0016"]),
        ([-0.02419, 0.00129, -0.000885], 3, ["-0.02419", "0.00129", "-0.00089"]),
        ([0.001, 0.1, 1.0], 3, ["0.001", "0.1", "1"]),
        ([1e-9, 123.0], 3, ["1e-09", "123"]),
        ([12345.6, 2.5], 4, ["12345.6", "2.5"]),
        ([2.0333e-5, 0.0057612, 0.0], 3, ["2.03e-05", "5.76e-03", "0"]),
        ([2.94e301, 18.51, 124.3, 7.79, 1.5], 3, ["2.94e+301", "18.5", "124", "7.79", "1.50"]),
        ([102.0, 7546.0, INF], 4, ["102", "7546", "∞"]),
        ([0.5, INF, -INF, math.nan, None], 2, ["0.5", "∞", "-∞", "", ""]),
        ([3, 1200, None], 4, ["3", "1200", ""]),
        ([True, False], 4, ["yes", "no"]),
        (["adam", "", None], 4, ["adam", "", ""]),
        ([], 4, []),
        ([0.0, 0.0], 4, ["0", "0"]),
    ],
)
def test_a_column_is_shown(values: list[Value], digits: int, texts: list[str]) -> None:
    assert shown(values, digits) == texts


def test_decimals_may_be_given() -> None:
    assert shown([46.04, 0.000139, None, 11], 3, decimals=1) == ["46.0", "0.0", "", "11"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2.5, None], True),
        ([math.nan, INF], True),
        ([True, False], False),
        (["1", 2], False),
        ([None, None], False),
        ([], False),
    ],
)
def test_a_column_of_numbers_is_known(values: list[Value], expected: bool) -> None:
    assert is_number(values) is expected
