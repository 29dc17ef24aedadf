"""What tuning brings: the best of k trials of each optimizer, against k."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from optlab.report.cells import ACCURACY
from optlab.report.charts import Array, Axis, Chart, Figure, Mark, Series
from optlab.report.evidence import Evidence
from optlab.report.measures.tuning import LOWER, UPPER, Trials, trials
from optlab.report.page import Column, Section, Table, Value
from optlab.report.sections.arrange import (
    by_task,
    common,
    listed,
    metric_axis,
    shown_first,
    side_by_side,
)
from optlab.report.text import plural

#: Budgets that tables have: those of the Crowded Valley (Schmidt et al., 2021), and some between.
TOLD = (1, 2, 5, 10, 25, 75)
#: Trials up to which each has a tick, and from which on their axis is logarithmic.
FEW, MANY = 10, 20
#: Optimizers that a sentence names.
MOST_NAMED = 6
#: Optimizers whose bands can be told apart.
MOST_BANDS = 5
#: Tasks of which sentences tell one by one.
MOST_TASKS = 4


def budget(evidence: Evidence) -> Section | None:
    """Return the best of k trials of each optimizer, where some had several."""
    found = [trials(evidence, group) for group in evidence.ranking.ranked]
    found = [own for own in found if max(map(len, own)) > 1]
    if not found:
        return None
    sentences = [_meaning(found), *_equality(found)]
    sentences.append(" ".join(filter(None, (_leaders(own) for own in found[:MOST_TASKS]))))
    ordered = [own for own in found if all(each.in_order for each in own)]
    figures: list[Figure] = [_figure(evidence, found)]
    figures += [_ordered_figure(evidence, ordered)] if ordered else []
    tables = [_table(found), *([_ordered_table(ordered)] if ordered else [])]
    return Section(
        "budget", "Best of k trials", tuple(filter(None, sentences)), tuple(figures), tuple(tables)
    )


def _meaning(found: Sequence[Sequence[Trials]]) -> str:
    metrics = {own[0].metric for own in found}
    parts = ["the expected best accuracy"] if ACCURACY in metrics else []
    if metrics - {ACCURACY}:
        parts.append(
            "the median of the lowest loss (it is infinite where at least half of such searches "
            "find nothing but trials that diverged)"
        )
    return (
        "A trial is a cell: one setting of all that varied, scored by its mean over seeds on the "
        "validation split, or by the worst score where a run diverged. Had an optimizer been given "
        f"k of its trials, drawn without replacement, the line is {' or '.join(parts)}, and the "
        f"band holds {UPPER - LOWER:.0%} of such searches. A line that is good at once needs no "
        "tuning; where lines cross, the better optimizer depends on the budget."
    )


def _equality(found: Sequence[Sequence[Trials]]) -> list[str]:
    """Say where optimizers had equally many trials, and where not."""
    compared = [own for own in found if len(own) > 1]
    unequal = [own for own in compared if len(set(map(len, own))) > 1]
    counts = {len(each) for own in compared for each in own}
    if len(counts) == 1:
        return [f"Every optimizer had the same number of trials, {counts.pop()}."]
    sentences = [] if unequal else ["In each task every optimizer had as many trials."]
    return sentences + [_inequality(own) for own in unequal[:MOST_TASKS]]


def _inequality(own: Sequence[Trials]) -> str:
    counts = {each.optimizer: len(each) for each in own}
    least, most = min(counts.values()), max(counts.values())
    few = listed([name for name, count in counts.items() if count == least], MOST_NAMED)
    return (
        f"Optimizers had {least} to {most} trials{_on(own)} ({few} the fewest): compare them at up "
        f"to {plural(least, 'trial')}, not at the ends of their lines."
    )


def _on(own: Sequence[Trials]) -> str:
    return f" on {own[0].group}" if own[0].group else ""


def _leaders(own: Sequence[Trials]) -> str:
    """Say who leads untuned, and who at the largest budget that all had."""
    most = min(map(len, own)) if len(own) > 1 else 1
    untuned, tuned = _values(own, 1), _values(own, most)
    first, last = next(iter(untuned)), next(iter(tuned))
    if most == 1 or not math.isfinite(untuned[first]):
        return ""
    is_still = math.isclose(tuned[first], tuned[last], rel_tol=1e-6)
    then = f"still with {most}" if is_still else f"with {most} it is {last}"
    return (
        f"With one trial at random {first} is best{_on(own)} ({own[0].metric} "
        f"{untuned[first]:.4g}), and {then} ({tuned[last]:.4g})."
    )


def _values(own: Sequence[Trials], k: int) -> dict[str, float]:
    """Return what the best of k trials comes to, by optimizer, the best one first."""
    values = {each.optimizer: float(each.typical(np.array([float(k)]))[0]) for each in own}
    ordered = sorted(values, key=values.__getitem__, reverse=own[0].metric == ACCURACY)
    return {name: values[name] for name in ordered}


def _figure(evidence: Evidence, found: Sequence[Sequence[Trials]]) -> Figure:
    caption = (
        "Score of the best of k trials, by k: the line is what it typically is, the band where it "
        f"is in {UPPER - LOWER:.0%} of searches; of more than {MOST_BANDS} optimizers there are no "
        "bands."
    )
    if any(len(set(map(len, own))) > 1 for own in found):
        caption += " Right of the vertical line not every optimizer has as many trials."
    charts = [
        _chart(f"budget_{place}", own, [_line(evidence, each, own) for each in own])
        for place, own in enumerate(found, start=1)
    ]
    return side_by_side("budget", "Best of k trials", caption, charts)


def _ordered_figure(evidence: Evidence, found: Sequence[Sequence[Trials]]) -> Figure:
    caption = (
        "Score of the best of the first k trials, as the search drew them: the points of a budget "
        "of k begin those of every larger one."
    )
    charts = [
        _chart(f"budget_in_order_{place}", own, [_steps(evidence, each) for each in own])
        for place, own in enumerate(found, start=1)
    ]
    return side_by_side("budget_in_order", "Best of the first k trials", caption, charts)


def _line(evidence: Evidence, own: Trials, every: Sequence[Trials]) -> Series:
    low, high = own.spread(own.budgets) if len(every) <= MOST_BANDS else (None, None)
    return Series(
        own.optimizer,
        own.budgets,
        own.typical(own.budgets),
        low,
        high,
        look=evidence.looks[own.optimizer],
        is_shown=own.optimizer in shown_first(evidence.ranking),
    )


def _steps(evidence: Evidence, own: Trials) -> Series:
    budgets = np.arange(1.0, 1 + len(own))
    return Series(
        own.optimizer,
        budgets,
        own.first(budgets),
        look=evidence.looks[own.optimizer],
        kind="steps",
        is_shown=own.optimizer in shown_first(evidence.ranking),
    )


def _chart(name: str, own: Sequence[Trials], series: Sequence[Series]) -> Chart:
    """Return the chart of one group, by numbers of trials."""
    least, most = min(map(len, own)), max(map(len, own))
    x = Axis("trials", "log" if most > MANY else "linear")
    first = 0
    if most <= FEW:  # a scale would have ticks between them
        x, first = Axis("trials", "names", tuple(str(k) for k in range(1, most + 1))), 1
    lines = tuple(replace(line, x=line.x - first) for line in series)
    marks = (Mark(float(least - first), "x", "as many for all"),) if least < most else ()
    y = metric_axis(own[0].metric, [line.y for line in series])
    return Chart(name, own[0].group, "", x, y, lines, marks)


def _table(found: Sequence[Sequence[Trials]]) -> Table:
    caption = "What the best of k trials drawn at random comes to; empty beyond the trials made."
    rows = {each: each.typical for own in found for each in own}
    return _table_of("budget", "Best of k trials", caption, "best of", rows)


def _ordered_table(found: Sequence[Sequence[Trials]]) -> Table:
    caption = "The best of the first k trials as the search drew them: nested budgets, one search."
    rows = {each: each.first for own in found for each in own}
    return _table_of("budget_in_order", "Nested budgets", caption, "best of the first", rows)


def _table_of(
    name: str, title: str, caption: str, words: str, best: Mapping[Trials, Callable[[Array], Array]]
) -> Table:
    """Return a table with a row for each optimizer, and a column for each budget."""
    counts = [len(own) for own in best]
    told = sorted({k for k in (*TOLD, min(counts)) if k < max(counts)})
    metric = common((own.metric for own in best), "metric")
    key = words.replace(" ", "_")
    columns = (
        Column("optimizer", "optimizer"),
        Column("trials", "trials"),
        *(Column(f"{metric}, {words} {k}", f"{key}_{k}") for k in told),
        Column(f"{metric}, best of all", "best_of_all"),
    )
    rows = [(own.group, _row(own, told, value)) for own, value in best.items()]
    return Table(name, title, caption, *by_task(columns, rows))


def _row(own: Trials, told: Sequence[int], best: Callable[[Array], Array]) -> tuple[Value, ...]:
    known = [k for k in told if k <= len(own)]
    *values, last = best(np.array([*known, len(own)], dtype=float)).tolist()
    return (own.optimizer, len(own), *values, *[None] * (len(told) - len(known)), last)
