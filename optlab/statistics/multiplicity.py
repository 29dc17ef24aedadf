"""P-values of several tests at once."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def holm(p_values: Array) -> Array:
    """Return p-values adjusted by Holm's step-down method.

    Those of at most 0.05 may all be believed together: the chance that any of them is wrong is at
    most 5 %, however the tests depend on each other.

    Args:
        p_values: Of one family of tests, (m). A nan is no test, and stays.

    Source: Holm (1979).
    """
    adjusted = np.full(p_values.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted
