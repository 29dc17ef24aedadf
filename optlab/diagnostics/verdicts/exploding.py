"""Exploding gradient: it grows on its way back, or while training goes on, or clipping holds it."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from optlab.diagnostics.verdicts.depth import profile_of
from optlab.diagnostics.verdicts.facts import Facts
from optlab.diagnostics.verdicts.history import NOTHING, Curve, History
from optlab.results import Verdict

#: Gradient at the first layer over that at the last. Batch normalization of 20 layers of relu
#: begins with 19 and trains well (course notes, NRM-10).
OVER_DEPTH = 100.0

#: Norm of all gradients over that of the first looks, as medians over `WINDOW` looks: single rows
#: differ a thousandfold. Where a training converges it falls; growth of a few times is noise, or a
#: loss that gets steeper.
OVER_TIME = 100.0
WINDOW = 5

#: Share of the looks at which gradients were above the limit. Clipping is a guard against rare
#: large gradients (Pascanu et al., 2013, who set it at half to ten times their average norm);
#: where it acts nearly always it is the size of the updates, whatever the rate.
CLIPPED = 0.9

FEWEST = 2  # looks that a share needs: a short run has no more at the default cadence
TINIEST = 1e-300  # in place of a gradient of 0

REMEDY = "try regularizer.clip_norm=1, smaller initial weights, norm=batchnorm or a lower rate"


def exploding_gradient(history: History, facts: Facts) -> Verdict | None:
    """Judge growth over depth and time, and how often gradients were clipped."""
    found = [*_over_depth(history, facts), *_over_time(history), *_clipped(history, facts)]
    return max(found, key=lambda verdict: verdict.severity, default=None)


def _over_depth(history: History, facts: Facts) -> Iterator[Verdict]:
    profile = profile_of(history, facts)
    if profile is None:
        return
    with np.errstate(divide="ignore", over="ignore"):
        growth = profile.norms[:, 0] / np.maximum(profile.norms[:, -1], TINIEST)
    look = int(growth.argmax())
    if growth[look] > OVER_DEPTH:
        first, last = profile.layers[0], profile.layers[-1]
        factor = growth[look] ** (1 / (profile.depths[-1] - profile.depths[0]))
        sentence = (
            f"gradients explode: at update {profile.updates[look]} they grow {factor:.2g}-fold per "
            f"layer from {last} down to {first} (first/last {growth[look]:.0e}; threshold "
            f"{OVER_DEPTH:g}); {REMEDY}"
        )
        since = int(profile.updates[growth > OVER_DEPTH][0])
        yield Verdict(
            "exploding_gradient", first, sentence, float(growth[look] / OVER_DEPTH), since
        )


def _over_time(history: History) -> Iterator[Verdict]:
    total = total_norm(history).finite()
    if len(total.values) < 2 * WINDOW:
        return
    levels = np.median(sliding_window_view(total.values, WINDOW), axis=1)
    largest = int(levels.argmax())
    growth = float(levels[largest] / max(levels[0], TINIEST))
    if growth > OVER_TIME:
        sentence = (
            f"gradients explode: their norm grew {growth:.2g}-fold, from {levels[0]:.2g} to "
            f"{levels[largest]:.2g} at update {total.updates[largest]} (threshold {OVER_TIME:g}); "
            f"{REMEDY}"
        )
        since = int(total.updates[(levels > OVER_TIME * levels[0]).argmax()])
        yield Verdict("exploding_gradient", "", sentence, growth / OVER_TIME, since)


def _clipped(history: History, facts: Facts) -> Iterator[Verdict]:
    clipped = clipped_looks(history, facts)
    share = float(clipped.values.mean()) if len(clipped.values) >= FEWEST else 0.0
    if share > CLIPPED:
        limit = facts.clip_value if facts.clip_norm is None else facts.clip_norm
        sentence = (
            f"gradients were clipped in {share:.0%} of {len(clipped.values)} looks (their norm is "
            f"about {total_norm(history).settled():.2g}, the limit {limit:g}; above {CLIPPED:.0%} "
            "the limit sets the size of every update); raise the limit, or lower the gradients by "
            "smaller initial weights or norm=batchnorm"
        )
        since = int(clipped.updates[0])
        yield Verdict("exploding_gradient", "", sentence, share / CLIPPED, since)


def total_norm(history: History) -> Curve:
    """Return the norm of all gradients together at each look."""
    curves = _gradients(history)
    if not curves:
        return NOTHING
    with np.errstate(over="ignore", invalid="ignore"):
        squares = [curve.values**2 for curve in curves.values()]
        return Curve(next(iter(curves.values())).updates, np.sqrt(np.sum(squares, axis=0)))


def clipped_looks(history: History, facts: Facts) -> Curve:
    """Return 1 for the looks at which some gradient was surely clipped, else 0.

    Of a limit on values only a bound is known: of n values with the norm g one is g / sqrt(n) or
    more. Penalties, whose gradients are clipped too, are not in the norms that are recorded.
    """
    curves = _gradients(history)
    if facts.clip_norm is not None:
        total = total_norm(history).finite()
        return Curve(total.updates, (total.values > facts.clip_norm).astype(float))
    if facts.clip_value is None or not curves:
        return NOTHING
    bounds = [c.values / math.sqrt(facts.sizes.get(name, 1)) for name, c in curves.items()]
    largest = Curve(next(iter(curves.values())).updates, np.max(bounds, axis=0)).finite()
    return Curve(largest.updates, (largest.values > facts.clip_value).astype(float))


def _gradients(history: History) -> dict[str, Curve]:
    """Return the norms of gradients by parameter, those that were recorded together."""
    curves = history.kind("gradient_norm")
    lengths = [len(curve.values) for curve in curves.values()]
    return {name: c for name, c in curves.items() if len(c.values) == lengths[0]}
