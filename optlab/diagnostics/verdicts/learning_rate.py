"""A learning rate that is too high or too low, by what the loss and the updates do (LRN-01 on)."""

import math
from collections.abc import Iterator

import numpy as np

from optlab.diagnostics.verdicts.facts import Facts
from optlab.diagnostics.verdicts.history import History
from optlab.diagnostics.verdicts.learning import (
    Learning,
    fold,
    is_blocked,
    largest_ratio,
    learning_of,
    rises_of,
    times,
)
from optlab.results import Verdict

#: Size of an update beside the weights, its median over training, at the largest of the weights.
#: About 1e-3 is the rule of thumb (Karpathy, CS231n notes, 2015); Adam at good rates gives up to
#: 1e-2, and at 0.2 weights are made anew every few updates.
HUGE_UPDATE = 0.2

#: Training loss at the end over its lowest, as means over twentieths of the training.
RISE = 2.0

#: Training loss anywhere over that before training: weights were thrown away.
ABOVE_START = 2.0

#: Mean rise of the losses from one twentieth of the training to the next, falls counted as 0,
#: beside the loss of one who knows nothing (`rises_of`). Sound trainings have 0.01 at most.
RISES = 0.02

#: The same where updates are huge: without it the loss lies still, and penalties hold the weights.
SOME_RISES = 0.001

#: A loss below this share of the reference has been learned: rises there do not matter.
LEARNED = 0.1

#: A loss of this share of the reference and less is none: how many times it rises says nothing.
NOTHING = 1e-6

#: Size of an update beside the weights, at the largest of the weights: at 1e-4 ten thousand
#: updates in one direction are needed to replace them.
TINY_UPDATE = 1e-4

#: The same of networks that learn well. At larger updates a loss falls slowly for other reasons.
USUAL_UPDATE = 1e-3

#: Share of the reference that is left at the end of a run that was too slow.
SLOW = 0.5

#: How much the loss falls over the last third of the training, as a share of itself.
STILL_FALLING = 0.05


def lr_too_high(history: History, facts: Facts) -> Verdict | None:
    """Judge divergence, a loss that rises or swings, and the size of updates."""
    signs = list(_signs(history, facts))
    if not signs:
        return None
    severity = max(severity for severity, _, _ in signs)
    since = min(since for _, since, _ in signs)
    rate = "" if facts.lr is None else f" ({facts.lr:g})"
    told = " and ".join(text for _, _, text in signs)
    sentence = (
        f"the learning rate{rate} is too high: {told}; try a third of it and less, "
        "schedule.warmup=0.1 or regularizer.clip_norm=1"
    )
    return Verdict("lr_too_high", "", sentence, severity, since)


def _signs(history: History, facts: Facts) -> Iterator[tuple[float, int, str]]:
    """Yield severity, update and text of every sign of too high a rate."""
    if facts.diverged and facts.updates:  # before the first update no rate is to blame
        yield math.inf, facts.updates, facts.diverged
    seen = learning_of(history, facts)
    if seen is not None:
        yield from _of_losses(seen)
    ratio = largest_ratio(history)
    if ratio >= HUGE_UPDATE and seen is not None and rises_of(seen) >= SOME_RISES:
        text = f"an update changes weights by {ratio:.2g} of themselves (1e-3 is usual)"
        yield ratio / HUGE_UPDATE, 0, text


def _of_losses(seen: Learning) -> Iterator[tuple[float, int, str]]:
    values, updates, reference = seen.smooth.values, seen.smooth.updates, seen.reference
    lowest = int(values.argmin())
    least = float(values[lowest])
    rise = seen.end / max(least, NOTHING * reference)
    if rise >= RISE and seen.left >= LEARNED:
        factor = f"{fold(rise)}, " if least > NOTHING * reference else ""
        text = f"the loss rose {factor}from {least:.2g} to {seen.end:.2g}"
        yield rise / RISE, int(updates[lowest]), text
    top = int(values.argmax())
    above = float(values[top]) / max(reference, seen.start)
    if above >= ABOVE_START:
        text = f"the loss was {values[top]:.2g}, {times(above)} what it was before training"
        yield above / ABOVE_START, int(updates[top]), text
    rises = rises_of(seen)
    if rises >= RISES:
        text = f"it swings up by {times(rises)} what knowing nothing costs, on average"
        yield rises / RISES, int(seen.smooth.later_half().updates[0]), text


def lr_too_low(history: History, facts: Facts) -> Verdict | None:
    """Judge a loss that is high and still falls steadily, or hardly moves by tiny updates."""
    seen = learning_of(history, facts)
    if seen is None or seen.left < SLOW or is_blocked(history, facts):
        return None
    if any(_signs(history, facts)):
        return None
    ratio, falling = largest_ratio(history), _fall(seen)
    is_tiny = 0 < ratio < TINY_UPDATE
    if not is_tiny and (falling < STILL_FALLING or ratio > USUAL_UPDATE):
        return None
    told = [f"the loss fell by {falling:.1%} over the last third of the training"]
    if math.isfinite(ratio):
        told.append(f"updates change weights by {ratio:.1g} of themselves (1e-3 is usual)")
    rate = "" if facts.lr is None else f" ({facts.lr:g})"
    sentence = (
        f"the learning rate{rate} is too low: the loss is still {seen.left:.0%} of what knowing "
        f"nothing costs, and {', '.join(told)}; try three to ten times the rate, or more epochs"
    )
    severity = TINY_UPDATE / ratio if is_tiny and ratio > 0 else falling / STILL_FALLING
    return Verdict("lr_too_low", "", sentence, max(severity, 1.0), 0)


def _fall(seen: Learning) -> float:
    """Return by how much the loss fell over the last third, where it fell in nearly every step."""
    values = seen.smooth.values
    late = values[-max(3, math.ceil(len(values) / 3)) :]
    steady = np.mean(np.diff(late) < 0) >= 2 / 3
    return float(1 - late[-1] / late[0]) if steady and late[0] > 0 else 0.0
