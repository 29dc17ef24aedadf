"""Running statistics of batch normalization that are not those of the data (NRM-04, NRM-09)."""

from optlab.diagnostics.verdicts.facts import Facts
from optlab.diagnostics.verdicts.history import Curve, History
from optlab.results import Verdict

#: Distance of running statistics from those of the fixed rows, in units of their deviation. Where
#: they follow, the few rows of a look make 0.2 of it by chance.
FAR = 0.5


def drifting_statistics(history: History, facts: Facts) -> Verdict | None:
    """Judge ``batchnorm_drift/<layer>`` without the first look: statistics begin at 0 and 1."""
    curves = {
        name: Curve(curve.updates[1:], curve.values[1:])
        for name, curve in history.kind("batchnorm_drift").items()
    }
    far = {name: value for name, curve in curves.items() if (value := curve.settled()) >= FAR}
    if not far:
        return None
    name, distance = max(far.items(), key=lambda pair: pair[1])
    since = curves[name].since(FAR)
    sentence = (
        f"running statistics of {name} are {distance:.2g} deviations from those of its inputs "
        f"since update {since} (threshold {FAR:g}): evaluation sees another network than training "
        "does; try a lower learning rate, norm.momentum=0.1, larger batches or norm=layernorm"
    )
    return Verdict("drifting_statistics", name, sentence, distance / FAR, since)
