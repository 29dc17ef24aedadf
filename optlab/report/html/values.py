"""Values of a table as a person reads them."""

import math
from collections.abc import Sequence

from optlab.report.page import Value

#: Numbers of a column from so small to so large have the same number of decimals.
SMALL, LARGE = 1e-4, 1e7
MORE = 2  # digits that the largest may have more than it should
#: Of a column where one in so many lies below or above, all are written with a power of ten.
FAR, SMALLEST = 4, 1e-3


def shown(values: Sequence[Value], digits: int, decimals: int | None = None) -> list[str]:
    """Return the values of a column; numbers that go together are aligned at their points.

    Args:
        values: Of a column.
        digits: Significant digits of numbers.
        decimals: Of numbers; by default as many as suit all of them.
    """
    form = _form(values, digits) if decimals is None else f".{decimals}f"
    return [_shown(value, form) for value in values]


def _form(values: Sequence[Value], digits: int) -> str:
    """Return how the numbers of a column are written."""
    numbers = [abs(v) for v in values if isinstance(v, float) and math.isfinite(v) and v != 0]
    decimals = _decimals(numbers, digits)
    if decimals is not None:
        return f".{decimals}f"
    if 2 * sum(_is_long(value, digits) for value in numbers) <= len(numbers):
        return f".{digits}g"
    return f".{digits - 1}e" if _are_far(numbers) else f"#.{digits}g"


def _is_long(value: float, digits: int) -> bool:
    """Whether a number has as many digits as are shown, as what is measured has."""
    return float(f"{value:.{digits - 1}g}") != value


def _are_far(numbers: Sequence[float]) -> bool:
    """Whether many numbers are so small or large that they are best read by their powers."""
    far = sum(not SMALLEST <= value < LARGE for value in numbers)
    return FAR * far >= len(numbers)


def is_number(values: Sequence[Value]) -> bool:
    """Whether a column is one of numbers, by those that are there."""
    there = [value for value in values if value is not None]
    return bool(there) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in there
    )


def _decimals(numbers: list[float], digits: int) -> int | None:
    """Return decimals that suit all numbers.

    None where numbers are of too many magnitudes, or so short that they are best as they are.
    """
    if not numbers or min(numbers) < SMALL or max(numbers) >= LARGE:
        return None
    if all(float(f"{value:.1g}") == value for value in numbers):
        return None
    if all(value.is_integer() for value in numbers):
        return 0
    # An accuracy of 1 is shown as finely as one of 0.99.
    fewest = max(0, digits - math.ceil(math.log10(max(numbers))))
    # The smallest keeps two digits, as long as the largest does not get too many.
    most = max(fewest, 1 - math.floor(math.log10(min(numbers))))
    return most if most <= fewest + MORE else None


def _shown(value: Value, form: str) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return str(value)
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    is_bare_zero = value == 0 and not form.endswith("f")
    return "0" if is_bare_zero else format(value, form).rstrip(".")
