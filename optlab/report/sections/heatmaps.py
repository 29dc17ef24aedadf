"""The validation metric over every two factors: what the best of all others reaches there."""

from collections.abc import Iterator, Sequence
from itertools import combinations, zip_longest

import numpy as np

from optlab.report.cells import ACCURACY, Cell
from optlab.report.charts import Array, Axis, Heatmap, Views
from optlab.report.charts.scales import suited
from optlab.report.sections.factor import Factor
from optlab.report.sections.importance import Importance

MOST_MAPS, MOST_LEVELS = 15, 40


def heatmaps(found: Sequence[Importance]) -> Views | None:
    """Return a heatmap of each pair of factors, those that matter most together first.

    What matters is what the two explain alone and together; every group has its first pairs before
    another has its second ones.
    """
    turns = zip_longest(*(list(_pairs(one)) for one in found))
    chosen = [pair for turn in turns for pair in turn if pair is not None][:MOST_MAPS]
    if not chosen:
        return None
    maps = [
        _heatmap(one, rows, columns, place) for place, (one, rows, columns) in enumerate(chosen)
    ]
    pairs = [f"{rows.title} x {columns.title}" for _, rows, columns in chosen]
    groups = [one.group for one, _, _ in chosen]
    is_by_task = len(found) > 1 and len(set(pairs)) == 1
    names = groups if is_by_task else pairs
    if len(found) > 1 and not is_by_task:
        names = [f"{group}: {pair}" for group, pair in zip(groups, pairs, strict=True)]
    return Views(
        "factor_pairs",
        f"Two factors at a time: {pairs[0]}" if is_by_task else "Two factors at a time",
        "Each place shows the best cell that has both levels, over everything else that varied: "
        "what tuning the rest would reach there. Mean over seeds, on the validation split.",
        dict(zip(names, maps, strict=True)),
        "task" if is_by_task else "pair of factors",
    )


def _pairs(one: Importance) -> Iterator[tuple[Importance, Factor, Factor]]:
    """Yield the pairs of a group that fit into a heatmap, as its rows and columns."""
    shares = {effect.places: effect.share for effect in one.effects}
    places = [i for i, factor in enumerate(one.factors) if len(factor.levels) <= MOST_LEVELS]
    weights = {(i, j): shares[i,] + shares[j,] + shares[i, j] for i, j in combinations(places, 2)}
    for i, j in sorted(weights, key=lambda pair: -weights[pair]):
        yield one, *_as_rows_and_columns(one.factors[i], one.factors[j])


def _as_rows_and_columns(one: Factor, other: Factor) -> tuple[Factor, Factor]:
    """Put numbers across, as on any axis; otherwise what has fewer levels, for want of width."""
    if one.is_number != other.is_number:
        return (other, one) if one.is_number else (one, other)
    return (one, other) if len(one.levels) >= len(other.levels) else (other, one)


def _heatmap(one: Importance, rows: Factor, columns: Factor, place: int) -> Heatmap:
    metric = one.cells[0].metric
    values = best_by_pair(one.cells, rows, columns)
    return Heatmap(
        f"factor_pairs_{place:02d}",
        f"{rows.title} x {columns.title}" + (f", {one.group}" if one.group else ""),
        f"Best mean validation {metric} at each pair; empty where none was run.",
        Axis(columns.title, "names", columns.levels),
        Axis(rows.title, "names", rows.levels),
        values,
        tuple(tuple(_text(value, metric) for value in row) for row in values),
        f"best validation {metric}",
        is_log=suited(metric, values) == "log",
    )


def best_by_pair(cells: Sequence[Cell], rows: Factor, columns: Factor) -> Array:
    """Return the best value at each pair of levels, (R, C); nan where there is no cell.

    Where every run diverged the value is the worst: accuracy 0, an infinite loss.
    """
    values = np.full((len(rows.levels), len(columns.levels)), np.nan)
    means = np.array([cell.val.mean for cell in cells])
    better = np.fmax if cells[0].metric == ACCURACY else np.fmin
    better.at(values, (rows.codes, columns.codes), means)
    return values


def _text(value: float, metric: str) -> str:
    if not np.isfinite(value):
        return "" if np.isnan(value) else "diverged"
    # A whole number has no point at its end.
    return f"{value:.3f}" if metric == ACCURACY else f"{value:#.3g}".rstrip(".")
