"""What the result hangs on, factor by factor, two at a time, and all at once."""

from collections.abc import Sequence

from optlab.report.cells import ACCURACY
from optlab.report.evidence import Evidence
from optlab.report.page import Section
from optlab.report.sections.arrange import common
from optlab.report.sections.heatmaps import heatmaps
from optlab.report.sections.importance import LEFT, Importance, figure, importance, table
from optlab.report.sections.parallel import parallel

#: Effects that a sentence names.
MOST_NAMED = 3
#: Tasks that have a sentence.
MOST_TASKS = 8

NO_NOISE = "every pair was run once, so noise is in its share"

REMARK = (
    "These shares are about the levels that were tried: a factor over a wider range has a larger "
    "one."
)


def factors(evidence: Evidence) -> Section | None:
    """Return shares of variance, heatmaps and parallel coordinates, where two factors varied."""
    tried = (importance(evidence, group) for group in evidence.ranking.ranked)
    found = [one for one in tried if one is not None]
    if not found:
        return None
    maps = heatmaps(found)
    return Section(
        "factors",
        "What the result hangs on",
        (*_sentences(found), REMARK),
        (figure(found), *([maps] if maps else []), parallel(found)),
        (table(found),),
    )


def _sentences(found: Sequence[Importance]) -> list[str]:
    if len(found) == 1:
        return [
            f"The largest shares of the variance of {_what(found[0])} are of {_told(found[0])}."
        ]
    told = [f"{one.group}: {_told(one)}." for one in found[:MOST_TASKS]]
    if len(found) > MOST_TASKS:
        told.append(f"{len(found) - MOST_TASKS} more tasks are in the table.")
    what = common(map(_what, found), "the validation metric")
    return [f"The largest shares of the variance of {what}, task by task:", *told]


def _what(one: Importance) -> str:
    metric = one.cells[0].metric
    return f"validation {metric}" if metric == ACCURACY else f"ranks by validation {metric}"


def _told(one: Importance) -> str:
    """Return ``learning rate 46 %, optimizer 23 %; 12 % is left to seeds ...``."""
    points = "runs" if one.points > len(one.cells) else "cells"
    named = [effect for effect in one.effects[:MOST_NAMED] if effect.share > 0]
    if not named:
        return f"nothing, as all {one.points:,} {points} are alike"
    shares = ", ".join(f"{effect.title} {100 * effect.share:.0f} %" for effect in named)
    left = f"{100 * one.rest:.0f} % is left to {LEFT}" if one.tells_noise else NO_NOISE
    return f"{shares}; {left} ({one.points:,} {points})"
