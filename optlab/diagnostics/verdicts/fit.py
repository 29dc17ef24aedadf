"""Overfitting and underfitting: how losses on training and validation rows part (REG rows)."""

import numpy as np

from optlab.diagnostics.verdicts.facts import Facts
from optlab.diagnostics.verdicts.history import History
from optlab.diagnostics.verdicts.learning import is_blocked, learning_of
from optlab.diagnostics.verdicts.learning_rate import lr_too_low
from optlab.results import Verdict

#: Validation loss at the end over its lowest.
RISE = 1.25

#: That rise beside what knowing nothing costs: below it the rise is of no account.
WORTH = 0.05

#: Validation loss less training loss at the end, beside what knowing nothing costs.
GAP = 0.2

#: Share of the training before which the lowest validation loss lies, for a gap to count: while it
#: still falls a gap does no harm.
EARLY = 0.8

#: Training loss beside what knowing nothing costs, above which there is no fit to speak of.
HALF = 0.5

#: Training loss at the end beside what knowing nothing costs, from which on a run underfits.
POOR = 0.4

#: Validation loss over training loss at the end, up to which the two are close.
CLOSE = 1.3

FEWEST = 4  # evaluations that a rise needs
TINIEST = 1e-300  # in place of a loss of 0


def overfitting(history: History, facts: Facts) -> Verdict | None:
    """Judge a validation loss that rises while the other falls, and the gap between them."""
    seen = learning_of(history, facts)
    if seen is None or facts.diverged or len(seen.val.values) < FEWEST:
        return None
    best = int(seen.val.values.argmin())
    lowest, at = float(seen.val.values[best]), int(seen.val.updates[best])
    end = float(np.median(seen.val.values[-3:]))
    rise, gap = end / max(lowest, TINIEST), (end - seen.end) / seen.reference
    signs = [gap / GAP if at < EARLY * seen.val.updates[-1] else 0.0]
    if (end - lowest) / seen.reference >= WORTH and seen.end < np.interp(at, *seen.smooth):
        signs.append(rise / RISE)
    if max(signs) < 1 or seen.left > HALF:
        return None
    kept = ", and those weights were kept" if facts.restores_best else ""
    sentence = (
        f"validation loss was lowest at epoch {facts.epoch(at):.3g} ({lowest:.3g})"
        f"{kept} and is {end:.3g} at the end, with {seen.end:.3g} on training rows"
        f"{_accuracies(history)} (thresholds: {RISE:g} times the lowest, or a gap of {GAP:.0%} of "
        f"the {seen.reference:.3g} that knowing nothing costs); try trainer.patience=3, "
        "regularizer.l2, model.dropout or more rows"
    )
    return Verdict("overfitting", "", sentence, max(signs), at)


def underfitting(history: History, facts: Facts) -> Verdict | None:
    """Judge losses on training and validation rows that are poor and close together."""
    seen = learning_of(history, facts)
    if seen is None or facts.diverged or not seen.val or seen.left < POOR:
        return None
    if is_blocked(history, facts) or lr_too_low(history, facts) is not None:
        return None
    val = float(np.median(seen.val.values[-3:]))
    if val > CLOSE * seen.end:
        return None
    sentence = (
        f"training loss {seen.end:.3g} and validation loss {val:.3g} are close, and "
        f"{seen.left:.0%} of what knowing nothing costs ({seen.reference:.3g}; threshold "
        f"{POOR:.0%}); try a larger model, less regularization, more epochs or another rate"
    )
    return Verdict("underfitting", "", sentence, seen.left / POOR, int(seen.smooth.updates[-1]))


def _accuracies(history: History) -> str:
    """Return accuracies at the end in words, where they are measured."""
    ends = [history[f"accuracy/{split}"].finite().values[-3:] for split in ("train", "val")]
    if not all(len(values) for values in ends):
        return ""
    train, val = (float(np.median(values)) for values in ends)
    return f", accuracy {val:.3f} and {train:.3f}"
