"""Numbers as few characters of JSON, the longer arrays as plotly's packed ones."""

import base64
import math
from typing import Any

import numpy as np

from optlab.report.charts import Array

SHORT = 12  # numbers up to which text is no longer than a packed array
INTEGERS = ("i1", "i2", "i4")
DIGITS = 6  # significant; float32 has 7
#: Beyond these float32 has no value, or one of fewer digits.
SMALLEST, LARGEST = 1e-37, 3e38


def number(value: float) -> float | int | None:
    """Return a number of few digits; None where it is nan or infinite, which JSON lacks."""
    if not math.isfinite(value):
        return None
    rounded = float(f"{value:.{DIGITS}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def packed(values: Array) -> list[Any] | dict[str, str]:
    """Return an array for plotly; what is nan or infinite leaves a gap.

    Args:
        values: Of one or two dimensions.
    """
    if values.size <= SHORT:
        return [packed(row) if row.ndim else number(float(row)) for row in values]
    finite = np.where(np.isfinite(values), values, np.nan)
    kind = _kind(finite)
    content = base64.b64encode(np.ascontiguousarray(finite, dtype=f"<{kind}").tobytes()).decode()
    shape = {"shape": ", ".join(map(str, values.shape))} if values.ndim > 1 else {}
    return {"dtype": kind, "bdata": content, **shape}


def _kind(values: Array) -> str:
    """Return the smallest type that holds values to six digits."""
    sizes = np.abs(values[~np.isnan(values) & (values != 0)])
    if not np.isnan(values).any() and (values == np.rint(values)).all():
        for kind in INTEGERS:
            if not len(sizes) or sizes.max() <= np.iinfo(kind).max:
                return kind
    fits = not len(sizes) or (sizes.min() > SMALLEST and sizes.max() < LARGEST)
    return "f4" if fits else "f8"
