"""Loss plateau: the loss never left where it began, or stopped falling long before the end."""

import numpy as np

from optlab.diagnostics.verdicts.facts import Facts
from optlab.diagnostics.verdicts.history import Floats, History
from optlab.diagnostics.verdicts.learning import (
    NOTHING_LEARNED,
    Learning,
    learning_of,
)
from optlab.diagnostics.verdicts.learning_rate import lr_too_low
from optlab.results import Verdict

#: Training loss over what knowing nothing costs: a flat loss below it is that of a training which
#: has converged.
HIGH = 0.5

#: Largest over smallest loss of a plateau, as means over twentieths of the training.
FLAT = 1.05

#: Share of the training that a plateau takes. The short one at the start of many trainings, before
#: a network finds its way, is none.
LONG = 0.5

REMEDY = "try another init or activation, norm=batchnorm, or another learning rate or optimizer"


def loss_plateau(history: History, facts: Facts) -> Verdict | None:
    """Judge the training loss; one that waits for a higher rate is `lr_too_low`'s."""
    seen = learning_of(history, facts)
    if seen is None or facts.diverged or lr_too_low(history, facts) is not None:
        return None
    first, last = _longest(seen.smooth.values, HIGH * seen.reference)
    updates = [0, *seen.smooth.updates.tolist()]
    since, until = updates[first], updates[last]
    share = (until - since) / updates[-1]
    return _plateau(seen, since, until, share) if share >= LONG else None


def _longest(values: Floats, high: float) -> tuple[int, int]:
    """Return begin and end of the longest flat stretch whose values are all ``high`` or more."""
    best = (0, 0)
    for first in range(len(values)):
        last = first
        while last < len(values) and values[last] >= high:
            stretch = values[first : last + 1]
            if stretch.max() > FLAT * stretch.min():
                break
            last += 1
        best = max(best, (first, last), key=lambda ends: ends[1] - ends[0])
    return best


def _plateau(seen: Learning, since: int, until: int, share: float) -> Verdict:
    inside = (seen.smooth.updates > since) & (seen.smooth.updates <= until)
    level = float(np.mean(seen.smooth.values[inside]))
    is_start = level >= NOTHING_LEARNED * seen.reference
    never = is_start and until == seen.smooth.updates[-1]
    what = "never left where it began" if never else f"was stuck from update {since} to {until}"
    sentence = (
        f"the loss {what}, for {share:.0%} of the training, at {level:.3g} (knowing nothing costs "
        f"{seen.reference:.3g}; a plateau takes {LONG:.0%} at {HIGH:.0%} or more of that); {REMEDY}"
    )
    return Verdict("loss_plateau", "", sentence, share / LONG, since)
