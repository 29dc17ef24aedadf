"""Symmetric units: they begin alike, get the same gradients, and stay one (INI-02, INI-03)."""

from optlab.diagnostics.verdicts.facts import Facts
from optlab.diagnostics.verdicts.history import History
from optlab.results import Verdict

#: Share of a layer's units that duplicate another one of it. Random weights of continuous numbers
#: give 0; below a half the others may still do the work.
ALIKE = 0.5


def symmetric_units(history: History, facts: Facts) -> Verdict | None:
    """Judge ``symmetric/<layer>``, at the worst layer."""
    shares = {name: curve.settled() for name, curve in history.kind("symmetric").items()}
    alike = {name: share for name, share in shares.items() if share >= ALIKE}
    if not alike:
        return None
    name, share = max(alike.items(), key=lambda pair: pair[1])
    more = f" (and of {len(alike) - 1} more)" if len(alike) > 1 else ""
    since = history[f"symmetric/{name}"].since(ALIKE)
    sentence = (
        f"{share:.0%} of the units of {name}{more} are copies of others since update {since} "
        f"(threshold {ALIKE:.0%}): they get the same gradients and stay copies; start from random "
        "weights (init=he_normal or xavier_uniform in place of zeros or constant)"
    )
    return Verdict("symmetric_units", name, sentence, share / ALIKE, since)
