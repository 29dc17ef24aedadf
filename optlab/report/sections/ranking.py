"""The ranking: every cell with its mean, its interval and the number of its runs."""

import math
from collections.abc import Sequence

import numpy as np

from optlab.loggers.live_line import cut
from optlab.report.cells import ACCURACY, ENDS, LOSS, Cell
from optlab.report.charts import Axis, Chart, Figure, Series, Views
from optlab.report.charts.file_names import file_names
from optlab.report.charts.scales import suited
from optlab.report.evidence import Evidence
from optlab.report.measures.seedless import is_seedless
from optlab.report.page import Column, Section, Table, Value, is_empty
from optlab.report.text import NO_RANKING, capital, plural, verdict_words
from optlab.statistics.intervals import CONFIDENCE

SURE = f"{100 * CONFIDENCE:g} %"
MOST_CELLS = 25  # of a figure
LABEL_CHARACTERS = 48  # beside an axis
MOST_ROWS = 20  # of a table, before it is unfolded; half of it where there are several
FEWEST_FOR_IQM = 4
ALL_VERDICTS = 10_000  # characters
OF_METRIC = {ACCURACY: "score interval with Student's quantile", LOSS: "Student's t"}

HOW_TO_READ = (
    "A mean is over n runs, which differ in their seed. The interval of "
    f"{SURE} is of that mean: of a loss Student's, of an accuracy a score interval with Student's "
    "quantile, which is not symmetric and stays between 0 and 1; runs of equal values have none. "
    "Std is the standard deviation over seeds, IQM the interquartile mean. Test values are means "
    "that took no part in the order; the best validation loss is the lowest on the way, on "
    "average. Verdicts are what went wrong inside runs, with the number of runs that have them."
)


def ranking(evidence: Evidence) -> Section:
    """Return a table of all cells, and the intervals of the best in a figure."""
    groups = evidence.ranking.groups
    names = file_names("ranking", groups)
    most = MOST_ROWS if len(groups) == 1 else MOST_ROWS // 2
    tables = [_table(names[group], group, cells, most) for group, cells in groups.items()]
    unranked = [group for group, cells in groups.items() if not cells[0].rank]
    sentences = [
        f"{group}: {NO_RANKING}." if group else f"{capital(NO_RANKING)}." for group in unranked
    ]
    return Section(
        "ranking",
        "The ranking",
        (*_leaders(evidence), *sentences, *([HOW_TO_READ] if evidence.ranking.ranked else [])),
        figures=_figures(evidence),
        tables=tuple(tables),
    )


def _leaders(evidence: Evidence) -> list[str]:
    """Return what came first in each group, and whether the second lies within its interval."""
    return [
        (f"{group}: " if group else "") + _leader(evidence, cells)
        for group, cells in evidence.ranking.ranked.items()
    ]


def _leader(evidence: Evidence, cells: Sequence[Cell]) -> str:
    first, *others = cells
    metric = f"validation {first.metric}"
    place = f"came first of {len(cells)}" if others else "is the only cell"
    said = f"{first.label} {place}, with a mean {metric} of {first.val.mean:.4g}"
    if math.isnan(first.val.low):
        return f"{said}{_without_interval(evidence, first)}."
    said += f" ({first.val.low:.4g} to {first.val.high:.4g}, {SURE} interval)"
    inside = sum(first.val.low <= cell.val.mean <= first.val.high for cell in others)
    if not others:
        return f"{said}."
    own = "mean of 1 other lies" if inside == 1 else f"means of {inside or 'no'} others lie"
    return f"{said}; the {own} within that interval."


def _without_interval(evidence: Evidence, cell: Cell) -> str:
    """Say why a mean has no interval."""
    if is_seedless(evidence, cell):
        return f", from {plural(cell.scored, 'run')}: seeds change nothing in it"
    if cell.scored == 1:
        return ", from 1 run: how far seeds scatter is not known"
    same = f", the same in all of its {cell.scored} runs: no interval can be told from them"
    return same if cell.val.std == 0 else ""


def _figures(evidence: Evidence) -> tuple[Figure, ...]:
    ranked = [group for group, cells in evidence.ranking.ranked.items() if len(cells) > 1]
    if not ranked:
        return ()
    names = file_names("intervals", ranked)
    charts = {group: _chart(evidence, names[group], group) for group in ranked}
    if len(charts) == 1:
        return (*charts.values(),)
    caption = "The best cells of each task; tasks cannot be compared with one another."
    return (Views("intervals_by_task", "The best cells", caption, charts, "task"),)


def _chart(evidence: Evidence, name: str, group: str) -> Chart:
    cells = evidence.ranking.groups[group]
    shown = cells[:MOST_CELLS]
    metric = cells[0].metric
    low, mean, high = np.array([[c.val.low, c.val.mean, c.val.high] for c in shown]).T
    title = f"best {len(shown)} of {len(cells)} cells" if len(shown) < len(cells) else "all cells"
    return Chart(
        name,
        f"{group}: {title}" if group else capital(title),
        f"Mean validation {metric} over seeds and its {SURE} interval ({OF_METRIC[metric]}), the "
        "best above; colours are optimizers. Where intervals overlap widely, the order is not "
        "sure. A cell with one run, or with equal runs, has no interval, one with an infinite mean "
        "a cross at the edge.",
        Axis(f"validation {metric}", suited(metric, np.concatenate([low, mean, high]))),
        Axis("", "names", tuple(cut(cell.label, LABEL_CHARACTERS) for cell in shown)),
        _series(evidence, shown),
    )


def _series(evidence: Evidence, shown: Sequence[Cell]) -> tuple[Series, ...]:
    """Return the cells of each optimizer, as points."""
    places: dict[str, list[int]] = {}
    for place, cell in enumerate(shown):
        places.setdefault(cell.optimizer, []).append(place)
    return tuple(
        Series(
            optimizer,
            x=np.array([shown[place].val.mean for place in own]),
            y=np.array(own, dtype=float),
            left=np.array([shown[place].val.low for place in own]),
            right=np.array([shown[place].val.high for place in own]),
            look=evidence.looks[optimizer],
            kind="points",
            texts=tuple(_said(shown[place]) for place in own),
        )
        for optimizer, own in places.items()
    )


def _said(cell: Cell) -> str:
    return f"{cell.rank}. {cell.label}: {cell.val.mean:.4g} over {plural(cell.scored, 'run')}"


def _table(name: str, group: str, cells: Sequence[Cell], most: int) -> Table:
    """Return a row per cell, without columns in which no cell has anything."""
    columns = _columns(cells)
    kept = {c: v for c, v in columns.items() if not all(map(is_empty, v))}
    return Table(
        name,
        f"{group}: all cells" if group else "All cells",
        f"The best first, by mean validation {cells[0].metric}." if cells[0].rank else "",
        tuple(kept),
        list(zip(*kept.values(), strict=True)),
        most=most,
    )


def _columns(cells: Sequence[Cell]) -> dict[Column, list[Value]]:
    metric = cells[0].metric
    ends: dict[Column, list[Value]] = {
        Column(end, end): [cell.ends[end] or None for cell in cells] for end in ENDS
    }
    measured: dict[Column, list[Value]] = {
        Column(f"validation {metric}", f"val_{metric}_mean"): [c.val.mean for c in cells],
        Column("interval from", f"val_{metric}_low"): [c.val.low for c in cells],
        Column("to", f"val_{metric}_high"): [c.val.high for c in cells],
        Column("std", f"val_{metric}_std", 2): [c.val.std for c in cells],
        # Of fewer than four runs it is nearly the mean.
        Column("IQM", f"val_{metric}_iqm"): [
            c.val.iqm if c.scored >= FEWEST_FOR_IQM else None for c in cells
        ],
        Column(f"test {metric}", f"test_{metric}_mean"): [c.test.mean for c in cells],
        Column("best validation loss", "best_val_loss"): [c.best_loss for c in cells],
    }
    return {
        Column("rank", "rank"): [cell.rank or None for cell in cells],
        Column("cell", "cell"): [cell.label for cell in cells],
        Column("n", "runs"): [cell.scored for cell in cells],
        **ends,
        **(measured if cells[0].rank else {}),
        Column("verdicts", "verdicts"): [
            verdict_words(cell, ALL_VERDICTS) if cell.verdicts else None for cell in cells
        ],
    }
