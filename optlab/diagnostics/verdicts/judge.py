"""All verdicts on a run, in order of severity."""

from collections.abc import Callable

from optlab.diagnostics.verdicts.batchnorm import drifting_statistics
from optlab.diagnostics.verdicts.dead import dead_units
from optlab.diagnostics.verdicts.exploding import exploding_gradient
from optlab.diagnostics.verdicts.facts import Facts
from optlab.diagnostics.verdicts.fit import overfitting, underfitting
from optlab.diagnostics.verdicts.history import History
from optlab.diagnostics.verdicts.learning_rate import lr_too_high, lr_too_low
from optlab.diagnostics.verdicts.nonfinite import nonfinite
from optlab.diagnostics.verdicts.plateau import loss_plateau
from optlab.diagnostics.verdicts.saturation import saturated_activation, saturated_gate
from optlab.diagnostics.verdicts.symmetry import symmetric_units
from optlab.diagnostics.verdicts.vanishing import vanishing_gradient
from optlab.results import Verdict

Rule = Callable[[History, Facts], Verdict | None]

#: Every rule by the name of its verdict. Rules are pure, and say nothing of what was not measured.
RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        nonfinite,
        lr_too_high,
        exploding_gradient,
        vanishing_gradient,
        symmetric_units,
        dead_units,
        saturated_activation,
        saturated_gate,
        drifting_statistics,
        lr_too_low,
        loss_plateau,
        underfitting,
        overfitting,
    )
}


def verdicts(history: History, facts: Facts) -> list[Verdict]:
    """Return what every rule has to say, the most severe first; nothing of a healthy run."""
    found = (rule(history, facts) for rule in RULES.values())
    return sorted((v for v in found if v is not None), key=lambda v: -v.severity)
