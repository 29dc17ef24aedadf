"""Over all tasks: average ranks with their critical difference, and normalised scores."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from optlab.report.charts import Array, Axis, Chart, Figure, Mark, Series, Views
from optlab.report.charts.file_names import file_names
from optlab.report.charts.styles import REST, Style
from optlab.report.evidence import Evidence
from optlab.report.measures.pairs import LEVEL
from optlab.report.measures.standings import Methods, Standing, Standings, standings, tuned
from optlab.report.page import Column, Section, Table, Value
from optlab.report.sections.arrange import dependence, listed

MOST_SHOWN = 20  # of a figure
MOST_NAMED = 4  # methods in a sentence
TUNED, FIXED = "optimizers, tuned on each task", "one configuration for all tasks"

COLUMNS = (
    Column("compared", "compared"),
    Column("method", "method"),
    Column("average rank", "average_rank", 3),
    Column("p against the first (Nemenyi)", "p_nemenyi", 2),
    Column("normalised score (IQM)", "score_iqm", 3),
    Column("from", "score_low", 3),
    Column("to", "score_high", 3),
    Column("tasks", "tasks"),
)


def across_tasks(evidence: Evidence) -> Section | None:
    """Return the section, or None for fewer than three tasks or two methods."""
    own = tuned(evidence)
    chosen: dict[str, Methods] = {TUNED: own}
    if len(evidence.methods) > len(own):
        chosen[FIXED] = evidence.methods
    every = {kind: standings(evidence, methods) for kind, methods in chosen.items()}
    found = {kind: result for kind, result in every.items() if result is not None}
    if not found:
        return None
    sentences = [_result(kind, result) for kind, result in found.items()]
    one = next(iter(found.values()))
    sentences += [f"{said} {TOO_SMALL}" for said in dependence(one.tasks, one.apart)]
    looks = {kind: _looks(evidence, chosen[kind]) for kind in found}
    names = file_names("average_ranks", found), file_names("normalised_scores", found)
    ranks = {kind: _ranks(names[0][kind], kind, own, looks[kind]) for kind, own in found.items()}
    scores = {kind: _scores(names[1][kind], kind, own, looks[kind]) for kind, own in found.items()}
    figures = (
        _one_of("average_ranks_by_kind", "Average ranks", ranks),
        _one_of("normalised_scores_by_kind", "Normalised scores", scores),
    )
    return Section("across_tasks", "Over all tasks", (*sentences, SCORE), figures, (_table(found),))


SCORE = (
    "Normalised scores put tasks on one scale: 1 is the mean of the best method of a task, 0 that "
    "of the middle one (the median; of the worst, where the middle "
    "is as good as the best), and -1 the lowest there is, as far behind that as the "
    "best is ahead of it, or farther; a run that diverged, or that is missing, has -1. The "
    "interquartile mean (IQM) is of the middle half of all runs, every task alike. Its 95 % "
    "interval takes tasks, and what is 0 and 1, as given: it says what other seeds would do, not "
    "other tasks."
)


TOO_SMALL = (
    "Both tests take tasks as independent: here their p-values and the distance are too small."
)


def _result(kind: str, found: Standings) -> str:
    first, last = found.rows[0], found.rows[-1]
    lowest, highest = (
        [row.method for row in found.rows if math.isclose(row.rank, end.rank)]
        for end in (first, last)
    )
    said = (
        f"{kind[0].upper() + kind[1:]}: over {found.tasks} tasks {_have(lowest)} the lowest "
        f"average rank, {first.rank:.3g}"
    )
    said += "." if lowest == highest else f", and {_have(highest)} the highest, {last.rank:.3g}."
    if not math.isnan(found.p):
        alike = "are not alike" if found.p <= LEVEL else "may all be alike"
        said += f" By Friedman's test the {len(found.rows)} methods {alike} (p = {found.p:.2g})."
    behind = sum(row.p <= LEVEL for row in found.rows)
    return said + (
        f" Average ranks differ where they are {found.difference:.3g} or more apart (Nemenyi, "
        f"{LEVEL:.0%}): {behind or 'none'} of the others {'are' if behind > 1 else 'is'} so far "
        "behind the first."
    )


def _have(methods: Sequence[str]) -> str:
    """Return ``adam and nag have``; of many that have commas in their names, how many."""
    if len(methods) > 2 and any("," in method for method in methods):
        return f"{len(methods)} of them have"
    return f"{listed(methods, MOST_NAMED)} {'has' if len(methods) == 1 else 'have'}"


def _looks(evidence: Evidence, methods: Methods) -> dict[str, Style]:
    """Return the look of the optimizer of each method."""
    return {
        name: next((evidence.looks.get(cell.optimizer, REST) for cell in cells.values()), REST)
        for name, cells in methods.items()
    }


def _one_of(name: str, title: str, charts: Mapping[str, Chart]) -> Figure:
    if len(charts) == 1:
        return next(iter(charts.values()))
    caption = (
        "Optimizers as tuned on each task, or configurations that are the same on every task: the "
        "first says what an optimizer can do, the second what to try first on another task."
    )
    return Views(name, title, caption, charts, "comparison")


def _ranks(name: str, kind: str, found: Standings, looks: Mapping[str, Style]) -> Chart:
    """Return the critical-difference diagram."""
    shown = found.rows[:MOST_SHOWN]
    half = found.difference / 2
    caption = (
        f"Average rank over {found.tasks} tasks, the best first; 1 is to be the best on each. Bars "
        "reach half a critical difference (Nemenyi, 5 %) to both sides: methods whose bars do not "
        "overlap differ. Those right of the line differ from the first."
    )
    values = np.array([[row.rank - half, row.rank, row.rank + half] for row in shown])
    end = Mark(float(values[0, 2]), "x", "end of the first bar")
    axis = Axis("average rank")
    return _forest(
        name, _title("average ranks", kind, found), caption, axis, shown, values, looks, end
    )


def _scores(name: str, kind: str, found: Standings, looks: Mapping[str, Style]) -> Chart:
    shown = sorted(found.rows, key=lambda row: -row.score.estimate)[:MOST_SHOWN]
    caption = (
        "Interquartile mean of the normalised scores of all runs, with its 95 % interval "
        "(stratified bootstrap with t quantiles): 1 is as good as the best method of each task, 0 "
        "as good as the middle one. A method with one run on some task has no interval."
    )
    values = np.array([[r.score.low, r.score.estimate, r.score.high] for r in shown])
    axis, zero = Axis("normalised score"), Mark(0.0, "x", "middle")
    title = _title("normalised scores", kind, found)
    return _forest(name, title, caption, axis, shown, values, looks, zero)


def _title(what: str, kind: str, found: Standings) -> str:
    every = len(found.rows)
    most = f", the best {MOST_SHOWN} of {every}" if every > MOST_SHOWN else ""
    return f"{kind[0].upper()}{kind[1:]}: {what}{most}"


def _forest(
    name: str,
    title: str,
    caption: str,
    axis: Axis,
    shown: Sequence[Standing],
    values: Array,
    looks: Mapping[str, Style],
    mark: Mark,
) -> Chart:
    """Return a point with a horizontal bar for each method; values are low, middle, high."""
    series = [
        Series(
            "",
            x=values[[place], 1],
            y=np.array([float(place)]),
            left=values[[place], 0],
            right=values[[place], 2],
            look=looks[row.method],
            kind="points",
            texts=(f"{row.method}: {values[place, 1]:.3g}",),
        )
        for place, row in enumerate(shown)
    ]
    names = Axis("", "names", tuple(row.method for row in shown))
    return Chart(name, title, caption, axis, names, tuple(series), (mark,))


def _table(found: Mapping[str, Standings]) -> Table:
    rows: list[list[Value]] = [
        [
            *(kind, row.method, row.rank, row.p),
            *(row.score.estimate, row.score.low, row.score.high, row.tasks),
        ]
        for kind, own in found.items()
        for row in own.rows
    ]
    return Table(
        "average_ranks",
        "Methods over all tasks",
        "The lowest average rank first. A method that was not run on some task comes last there.",
        COLUMNS,
        rows,
    )
