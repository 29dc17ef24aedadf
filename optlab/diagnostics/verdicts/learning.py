"""What a run's losses say of its learning, read the same way by every rule."""

import math
from dataclasses import dataclass

import numpy as np

from optlab.diagnostics.verdicts.dead import dead_units
from optlab.diagnostics.verdicts.facts import Facts
from optlab.diagnostics.verdicts.history import Curve, Floats, History, smoothed
from optlab.diagnostics.verdicts.symmetry import symmetric_units
from optlab.diagnostics.verdicts.vanishing import vanishing_gradient

#: Share of the reference above which nothing was learned.
NOTHING_LEARNED = 0.95

FEWEST = 6  # records of a loss that a trend needs

#: From here on a factor says no more than that it is large.
MANY = 1000


def times(factor: float) -> str:
    """Return a factor in words: "12.0% of", "3.5 times", "more than 1000 times"."""
    if factor < 1:
        return f"{factor:.1%} of"
    return f"{factor:.2g} times" if factor <= MANY else f"more than {MANY} times"


def fold(factor: float) -> str:
    """Return a growth in words: "3.7-fold", "more than 1000-fold"."""
    return f"{factor:.2g}-fold" if factor <= MANY else f"more than {MANY}-fold"


@dataclass(frozen=True)
class Learning:
    """Losses of a run beside what knowing nothing costs.

    Attributes:
        reference: Loss of one who knows nothing: of the start, or of scores of 0 if that is less.
        start: Loss before training.
        train: Training loss as it was recorded.
        smooth: The same as means over twentieths of the records.
        val: Validation loss.
        end: Training loss over the last stretch.
    """

    reference: float
    start: float
    train: Curve
    smooth: Curve
    val: Curve
    end: float

    @property
    def left(self) -> float:
        """Share of the reference that is left at the end: 1 where nothing was learned."""
        return self.end / self.reference


def learning_of(history: History, facts: Facts) -> Learning | None:
    """Return what the losses say; None where they are too few, or no losses above 0."""
    train, val = history["loss/train"].finite(), history["loss/val"].finite()
    if len(train.values) < FEWEST:
        return None
    first = val if len(val.values) and val.updates[0] == 0 else train
    smooth, start = history.smooth_loss, float(first.values[0])
    reference = start if facts.chance_loss is None else min(start, facts.chance_loss)
    if reference <= 0 or smooth.values.min() < 0:
        return None
    return Learning(reference, start, train, smooth, val, float(smooth.values[-1]))


def largest_ratio(history: History) -> float:
    """Return the largest over weights of the median ratio of an update to them; nan without any.

    Biases start at 0, where a ratio is infinite or says little of size: they are left out.
    """
    medians = [
        float(np.median(values))
        for name, curve in history.kind("update_ratio").items()
        if "bias" not in name and len(values := curve.finite().values)
    ]
    return max(medians, default=math.nan)


def is_blocked(history: History, facts: Facts) -> bool:
    """Return whether something other than the rate keeps gradients from the weights."""
    rules = (vanishing_gradient, symmetric_units, dead_units)
    return any(rule(history, facts) is not None for rule in rules)


def rises_of(seen: Learning) -> float:
    """Return how much the losses rise from one stretch of the training to the next.

    The mean over the later half, falls counted as 0, as a share of the reference, or of the losses
    themselves where they are above it; the lesser of training and validation loss: the one jumps
    where batches are small, the other rises where rows are learned by heart.
    """
    losses = [seen.smooth, smoothed(seen.val)] if len(seen.val.values) >= FEWEST else [seen.smooth]
    return min(_rises(loss.later_half().values, seen.reference) for loss in losses)


def _rises(late: Floats, reference: float) -> float:
    if len(late) < 2:
        return 0.0
    rises = np.maximum(np.diff(late), 0.0)
    return float(rises.mean()) / max(reference, float(late.mean()))
