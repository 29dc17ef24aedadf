"""Vanishing gradient: what reaches the first layers is a tiny part of what the last ones get."""

import math

import numpy as np

from optlab.diagnostics.verdicts.depth import Profile, fitted, profile_of
from optlab.diagnostics.verdicts.facts import Facts
from optlab.diagnostics.verdicts.history import History
from optlab.results import Verdict

#: Gradient at the first layer over that at the last. Sound networks of 2 to 20 layers stay above
#: 1e-2 (course notes, GRD-03: relu with he_normal 0.25 to 0.8, tanh with xavier about 1). Sigmoid
#: layers get here at a depth of 6 to 8: each takes a factor of 0.2 to 0.3.
RATIO = 1e-3

#: Share of the variance of log gradient that a straight line over depth explains: a product of
#: factors alike falls geometrically. One layer that blocks is told by other verdicts.
STRAIGHT = 0.7

#: Share of the looks at which it is seen. Adam mends eight sigmoid layers within a quarter of 680
#: updates, in which nothing is learned; what is gone at the second of many looks did no harm.
OFTEN = 0.2

REMEDY = "try init=he_normal with activation=relu, norm=batchnorm, or fewer layers"


def vanishing_gradient(history: History, facts: Facts) -> Verdict | None:
    """Judge the norms of ``preactivation_gradient/<layer>`` over depth."""
    profile = profile_of(history, facts)
    if profile is None:
        return None
    silent = np.flatnonzero((profile.norms == 0).mean(axis=0) >= OFTEN)
    if len(silent):
        return _silent(profile, silent[0], silent[-1])
    falls = [_falls(profile, look) for look in range(len(profile.updates))]
    if not np.mean(falls) >= OFTEN:
        return None
    return _falling(profile, np.flatnonzero(falls), history)


def _falls(profile: Profile, look: int) -> bool:
    norms = profile.norms[look]
    if (norms <= 0).any() or norms[0] >= RATIO * norms[-1]:
        return False
    return fitted(profile.depths, norms).straight >= STRAIGHT


def _falling(profile: Profile, looks: np.ndarray, history: History) -> Verdict:
    norms = np.exp(np.median(np.log(profile.norms[looks]), axis=0))
    ratio, first = float(norms[0] / norms[-1]), profile.layers[0]
    seen = f"in {len(looks)} of {len(profile.updates)} looks"
    weights = history["gradient_ratio/first_last"].finite().values
    of_weights = f", of their weights down to {weights.min():.0e}" if len(weights) else ""
    sentence = (
        f"gradients vanish: from {profile.layers[-1]} down to {first} they fall "
        f"{fitted(profile.depths, norms).factor:.2g}-fold per layer (first/last {ratio:.0e}"
        f"{of_weights}, {seen}; below {RATIO:.0e} the first layers learn next to nothing); {REMEDY}"
    )
    since = int(profile.updates[looks[0]])
    return Verdict("vanishing_gradient", first, sentence, RATIO / ratio, since)


def _silent(profile: Profile, first: int, last: int) -> Verdict:
    """Return the verdict on layers that get no gradient at all."""
    names = profile.layers
    which = names[first] if first == last else f"{names[first]} to {names[last]}"
    since = int(profile.updates[(profile.norms[:, first] == 0).argmax()])
    sentence = (
        f"no gradient reaches {which} since update {since}: it is exactly 0 there, and nothing is "
        f"learned; weights of zero above, or units that are all dead, do that; {REMEDY}"
    )
    return Verdict("vanishing_gradient", names[first], sentence, math.inf, since)
