"""Dead units: no row of the training set sends a gradient through them (GRD-09 to GRD-11)."""

import numpy as np

from optlab.diagnostics.verdicts.facts import Facts
from optlab.diagnostics.verdicts.history import Curve, History
from optlab.results import Verdict

#: Share of an activation's units. A rate ten times too high kills a fifth, biases of -5 a half
#: (course notes, GRD-10); a few dead ones cost width and nothing else.
DEAD = 0.2

#: Share of rows and units with the slope 0 where units were not counted: on the few fixed rows of
#: a look sound relu layers show 0.4 to 0.85, and a layer with all units dead shows 1.
SILENT = 0.97

REMEDY = "try a lower learning rate, init=he_normal, activation=leaky_relu or norm=batchnorm"


def dead_units(history: History, facts: Facts) -> Verdict | None:
    """Judge ``dead/<activation>``; where it was not measured, ``saturated/<activation>``."""
    counted = {name: curve for name, curve in history.kind("dead").items() if curve.finite()}
    found = [_counted(name, curve) for name, curve in counted.items() if _last(curve) >= DEAD]
    if not counted:
        found = [
            _suspected(name, curve)
            for name, curve in history.kind("saturated").items()
            if name in facts.rectified and curve.settled() >= SILENT
        ]
    return max(found, key=lambda verdict: verdict.severity, default=None)


def _counted(name: str, curve: Curve) -> Verdict:
    share, since = _last(curve), curve.since(DEAD)
    sentence = (
        f"{share:.0%} of the units of {name} are dead since update {since}: no training row sends "
        f"a gradient through them (threshold {DEAD:.0%}); {_recovery(curve)}; {REMEDY}"
    )
    return Verdict("dead_units", name, sentence, share / DEAD, since)


def _suspected(name: str, curve: Curve) -> Verdict:
    share, since = curve.settled(), curve.since(SILENT)
    sentence = (
        f"units of {name} seem dead since update {since}: {share:.1%} of their slopes are 0 on the "
        f"few rows that were looked at (threshold {SILENT:.0%}); diagnostics.dead_units=true "
        f"counts them on all rows; {REMEDY}"
    )
    return Verdict("dead_units", name, sentence, share / SILENT, since)


def _recovery(curve: Curve) -> str:
    """Return whether some came back: the largest share, if it was larger before."""
    values = curve.finite().values
    largest = float(values.max())
    if largest - values[-1] >= 0.5 / 100:
        return f"it was {largest:.0%}, so some recover as the layers below change"
    return "none has come back so far, and by their own gradient, which is 0, none can"


def _last(curve: Curve) -> float:
    values = curve.finite().values
    return float(values[-1]) if len(values) else float(np.nan)
