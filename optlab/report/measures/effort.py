"""What a run's updates cost it: the units in which learning curves can be compared."""

import math
from typing import Literal

from optlab.records import RunRecord

Unit = Literal["updates", "epochs", "row gradients", "seconds"]

#: Titles of axes. A row gradient is the gradient of the loss of one row: a batch of 32 takes 32,
#: and twice as many where an optimizer evaluates twice.
TITLES: dict[Unit, str] = {
    "updates": "updates",
    "epochs": "epochs",
    "row gradients": "gradient evaluations (rows)",
    "seconds": "training time (s)",
}


def per_update(record: RunRecord, unit: Unit) -> float:
    """Return what one update cost, nan where that is not known.

    Seconds are those of updates alone, evaluation and logging off the clock, and known only of runs
    that trained alone.
    """
    result = record.result
    if not result.updates:
        return math.nan
    if unit == "updates":
        return 1.0
    if unit == "epochs":
        return result.epochs / result.updates
    if unit == "row gradients":
        rows = result.row_gradients
        return math.nan if rows is None else rows / result.updates
    return result.training_s / result.updates if result.shared_by == 1 else math.nan
