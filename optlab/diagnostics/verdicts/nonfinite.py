"""NaN and infinity: where they were seen first, and when."""

import math

import numpy as np

from optlab.diagnostics.verdicts.facts import Facts
from optlab.diagnostics.verdicts.history import History
from optlab.results import Verdict

REMEDY = "try a lower learning rate, regularizer.clip_norm=1 or smaller initial weights"


def nonfinite(history: History, facts: Facts) -> Verdict | None:
    """Judge ``nonfinite/<module>``, norms of gradients, and the loss."""
    first = sorted((c.updates[0], name) for name, c in history.kind("nonfinite").items() if c)
    if first:
        update, where = first[0]
        place = f"in the gradient at {where[:-9]}" if where.endswith(".gradient") else f"in {where}"
        return _verdict(where, f"NaN or infinity appeared first {place}", int(update), facts)
    norms = {
        (int(curve.updates[bad[0]]), name): ""
        for name, curve in history.kind("gradient_norm").items()
        if len(bad := np.flatnonzero(~np.isfinite(curve.values)))
    }
    if norms:
        update, name = min(norms)
        what = f"the gradient of {name} has no finite norm"
        return _verdict(name, what, update, facts)
    if facts.diverged:
        return _verdict("", facts.diverged, facts.updates, facts)
    return None


def _verdict(where: str, what: str, update: int, facts: Facts) -> Verdict:
    end = f"; {facts.diverged}" if facts.diverged and facts.diverged != what else ""
    seen = "" if what == facts.diverged else f", seen at update {update}"
    return Verdict("nonfinite", where, f"{what}{seen}{end}; {REMEDY}", math.inf, update)
