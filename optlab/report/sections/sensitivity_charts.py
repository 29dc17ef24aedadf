"""The figures of results along hyperparameters."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count, groupby

import numpy as np

from optlab.report.cells import ACCURACY, LEARNING_RATE, Cell
from optlab.report.charts import Array, Axis, Chart, Figure, Series
from optlab.report.charts.styles import Style
from optlab.report.evidence import Evidence
from optlab.report.measures.swept import WIDE_RATIO
from optlab.report.measures.windows import Finding
from optlab.report.phrases import show
from optlab.report.sections.arrange import metric_axis, shown_first, side_by_side
from optlab.report.text import plural


def called(name: str) -> str:
    """Return what a hyperparameter is called on axes: "learning rate", "weight decay"."""
    return "learning rate" if name == LEARNING_RATE else name.rpartition(".")[2].replace("_", " ")


def name_of(name: str) -> str:
    """Return what files about a hyperparameter are called, such as ``"sensitivity_lr"``."""
    return f"sensitivity_{name.removeprefix('optimizer.').replace('.', '_')}"


def charts(evidence: Evidence, found: Sequence[Finding]) -> tuple[Figure, ...]:
    """Return a figure for each hyperparameter, with a panel for each group."""
    return tuple(_figure(evidence, [*own]) for _, own in groupby(found, lambda f: f.name))


def _figure(evidence: Evidence, found: Sequence[Finding]) -> Figure:
    what = called(found[0].name)
    name = name_of(found[0].name)
    panels = [
        _chart(evidence, f"{name}_{number}", [*own])
        for number, (_, own) in enumerate(groupby(found, lambda f: f.group), start=1)
    ]
    return side_by_side(name, f"Result by {what}", _caption(found), panels)


def _caption(found: Sequence[Finding]) -> str:
    metrics = {finding.best.metric for finding in found}
    what = called(found[0].name)
    searched = {finding.swept.is_search for finding in found}
    text = ""
    if False in searched:
        text += (
            f"Each point is the best cell at that {what}, everything else chosen anew by the "
            "validation split: mean over seeds, with the 95 % interval as a band. "
        )
    if True in searched:
        text += (
            f"Of a search every cell is a point, whatever else was drawn with its {what}; the line "
            "goes through the best of each of some even bins. "
        )
    if ACCURACY in metrics:
        text += "Runs that diverged count as accuracy 0. "
    if metrics - {ACCURACY}:
        text += "A mark at the edge is a value at which runs diverged: the loss is infinite. "
    return text + "What is flat and broad at its best is easy to tune."


def _chart(evidence: Evidence, name: str, found: Sequence[Finding]) -> Chart:
    """Return the chart of one group."""
    axis, places = _axis(found)
    first = shown_first(evidence.ranking)
    series = [
        replace(line, is_shown=finding.optimizer in first)
        for finding in found
        for line in _series(finding, places, evidence.looks[finding.optimizer])
    ]
    shown = metric_axis(found[0].best.metric, [line.y for line in series])
    return Chart(name, found[0].group, "", axis, shown, tuple(series))


def _axis(found: Sequence[Finding]) -> tuple[Axis, Mapping[float, float]]:
    """Return the axis of the values, and where each value lies on it."""
    name, what = found[0].name, called(found[0].name)
    tried = sorted({float(cell.key[name]) for finding in found for cell in finding.swept.trials})
    if found[0].swept.is_log:
        return Axis(what, "log"), {value: value for value in tried}
    above = [value for value in tried if value > 0]
    if tried[0] == 0 and len(above) > 1 and above[-1] > WIDE_RATIO * above[0]:
        # Values of a logarithm and 0, which has none: side by side in their order.
        return Axis(what, "names", tuple(map(show, tried))), dict(zip(tried, count(), strict=False))
    return Axis(what), {value: value for value in tried}


def _series(finding: Finding, places: Mapping[float, float], look: Style) -> list[Series]:
    best = _line(finding, [*finding.swept.best.values()], places, look)
    if not finding.swept.is_search:
        return [best]
    trials = _line(finding, finding.swept.trials, places, look)
    return [
        replace(trials, kind="points", low=None, high=None),
        replace(best, look=replace(look, marker=""), low=None, high=None),
    ]


def _line(
    finding: Finding, cells: Sequence[Cell], places: Mapping[float, float], look: Style
) -> Series:
    low: Array = np.array([cell.val.low for cell in cells])
    high: Array = np.array([cell.val.high for cell in cells])
    has_band = bool(np.isfinite(low).any())
    return Series(
        finding.optimizer,
        np.array([places[float(cell.key[finding.name])] for cell in cells], dtype=float),
        np.array([cell.val.mean for cell in cells]),
        low if has_band else None,
        high if has_band else None,
        look=look,
        texts=tuple(map(_text, cells)),
    )


def _text(cell: Cell) -> str:
    lost = cell.ends["diverged"] + cell.ends["failed"]
    interval = "" if math.isnan(cell.val.low) else f" ({cell.val.low:.4g} .. {cell.val.high:.4g})"
    return (
        f"{cell.label}: {cell.metric} {cell.val.mean:.4g}{interval}, {plural(cell.runs, 'run')}"
        + (f", {lost} diverged or failed" if lost else "")
    )
