"""Saturated activations and gates: values where a slope is near 0 (ACT-04, LST-03)."""

from collections.abc import Mapping

from optlab.diagnostics.verdicts.facts import Facts
from optlab.diagnostics.verdicts.history import Curve, History
from optlab.results import Verdict

#: Share of rows and units of a layer with a slope below 0.01. Layers of tanh that learn well reach
#: 0.3; with weights of [-3, 3] they begin above 0.9 (course notes, INI-05).
FLAT = 0.55

#: Share of a gate's values within 0.01 of 0 or 1. A forget gate that starts with a bias of 3 is
#: at 0.95, which is not counted.
STUCK = 0.3


def saturated_activation(history: History, facts: Facts) -> Verdict | None:
    """Judge ``saturated/<activation>`` of activations that are flat without being 0."""
    curves = {n: c for n, c in history.kind("saturated").items() if n not in facts.rectified}
    name, share = _largest(curves)
    if not share >= FLAT:
        return None
    since = curves[name].since(FLAT)
    sentence = (
        f"{share:.0%} of the values of {name}{_others(curves, FLAT)} lie where it is flat, since "
        f"update {since} (threshold {FLAT:.0%}): less than a hundredth of a gradient passes; try "
        "smaller initial weights (init=xavier_uniform), norm=batchnorm or a lower learning rate"
    )
    return Verdict("saturated_activation", name, sentence, share / FLAT, since)


def saturated_gate(history: History, facts: Facts) -> Verdict | None:
    """Judge ``gate_saturated/<layer>.<gate>`` of gated recurrent layers."""
    curves = history.kind("gate_saturated")
    name, share = _largest(curves)
    if not share >= STUCK:
        return None
    since = curves[name].since(STUCK)
    sentence = (
        f"gate {name} is nearly shut or nearly open in {share:.0%} of its values"
        f"{_others(curves, STUCK)} since update {since} (threshold {STUCK:.0%}): its own weights "
        "learn next to nothing; try model.forget_bias between 0 and 3, smaller initial weights or "
        "a lower learning rate"
    )
    return Verdict("saturated_gate", name, sentence, share / STUCK, since)


def _largest(curves: Mapping[str, Curve]) -> tuple[str, float]:
    """Return name and share of the one that is worst in the later looks; nan without any."""
    shares = {name: share for name, c in curves.items() if (share := c.settled()) == share}
    return max(shares.items(), key=lambda pair: pair[1], default=("", float("nan")))


def _others(curves: Mapping[str, Curve], limit: float) -> str:
    """Return in words how many others are above the limit, too."""
    more = sum(curve.settled() >= limit for curve in curves.values()) - 1
    return f" (and of {more} more)" if more else ""
