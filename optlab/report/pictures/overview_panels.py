"""The panels of the picture: curves, sensitivity to the learning rate, intervals of cells."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from optlab.loggers.live_line import cut
from optlab.report.cells import LEARNING_RATE, Cell
from optlab.report.charts.scales import make_room, scale
from optlab.report.charts.styles import Style
from optlab.report.measures.curves import Array, Band

MAX_CELLS = 12
LABEL_CHARACTERS = 44  # beside an axis; report.csv has longer ones
MARKS = 6  # of a curve, about
ASIDE = 0.2  # share of the gap between learning rates over which the curves' points are spread
ROOM = 0.12  # share of that axis that a rate's name takes
CROSSES = 0.05  # height of a row of crosses, as a share of the axes


def best_by_rate(cells: Iterable[Cell]) -> dict[str, dict[float, float]]:
    """Return, by optimizer, the best mean validation metric reached at each learning rate."""
    best: dict[str, dict[float, float]] = defaultdict(dict)
    for cell in cells:
        rate = cell.key.get(LEARNING_RATE)
        if isinstance(rate, int | float) and rate > 0 and not math.isnan(cell.val.mean):
            best[cell.optimizer].setdefault(float(rate), cell.val.mean)
    return {optimizer: dict(sorted(rates.items())) for optimizer, rates in best.items()}


def draw_curves(
    axes: Axes, curves: Mapping[str, Band], looks: Mapping[str, Style], metric: str
) -> None:
    """Draw the curve of the best cell of each optimizer, the best last and on top."""
    for place, (optimizer, curve) in reversed(list(enumerate(curves.items()))):
        look = looks[optimizer]
        # Marks of different curves at different epochs: where curves agree, all can be seen.
        step = max(1, len(curve.x) // MARKS)
        axes.plot(curve.x, curve.mean, **look.of_line, markevery=(place % step, step))
        axes.fill_between(curve.x, curve.low, curve.high, color=look.color, alpha=0.15, linewidth=0)
    scale(axes, "y", metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel=f"validation {metric}")
    which = "best cell of each optimizer" if len(curves) > 1 else "best cell"
    axes.set_title(f"{which}: mean, range over seeds")
    if not curves:
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "no curves were kept", ha="center", transform=axes.transAxes)


def draw_sensitivity(
    axes: Axes,
    by_rate: Mapping[str, Mapping[float, float]],
    looks: Mapping[str, Style],
    metric: str,
) -> None:
    """Draw a line per optimizer over learning rates, crosses where the mean is infinite."""
    axes.set_xscale("log")
    all_rates = sorted({rate for rates in by_rate.values() for rate in rates})
    _mark_rates(axes, all_rates)
    # Side by side, as some do the same at most rates: momentum and Nesterov's, for example.
    aside = dict(zip(by_rate, _aside(all_rates, len(by_rate)), strict=True))
    for optimizer, rates in reversed(list(by_rate.items())):
        places = [rate * aside[optimizer] for rate in rates]
        axes.plot(places, list(rates.values()), **looks[optimizer].of_line)
    scale(axes, "y", metric)
    lost = {
        optimizer: [rate for rate, value in rates.items() if math.isinf(value)]
        for optimizer, rates in by_rate.items()
    }
    crossed = [optimizer for optimizer, rates in lost.items() if rates]
    if crossed:
        make_room(axes, CROSSES * (len(crossed) + 1))
    for row, optimizer in enumerate(crossed, start=1):
        axes.plot(
            [rate * aside[optimizer] for rate in lost[optimizer]],
            [1 - CROSSES * row] * len(lost[optimizer]),
            linestyle="",
            marker="x",
            markeredgewidth=1.5,
            markeredgecolor=looks[optimizer].color,
            transform=axes.get_xaxis_transform(),
        )
    axes.set(xlabel="learning rate", ylabel=f"validation {metric}")
    note = "; x: not every seed ended well" if crossed else ""
    axes.set_title(f"best mean at each rate{note}")


def draw_intervals(
    axes: Axes, cells: Sequence[Cell], looks: Mapping[str, Style], metric: str
) -> None:
    """Draw a point per cell with its interval, the best on top."""
    shown = [cell for cell in cells if math.isfinite(cell.val.mean)][:MAX_CELLS]
    for place, cell in enumerate(shown):
        look = looks[cell.optimizer]
        # One seed has no interval: nan, which is not drawn.
        axes.plot([cell.val.low, cell.val.high], [place] * 2, color=look.color, linewidth=2)
        axes.plot([cell.val.mean], [place], color=look.color, marker=look.marker or "o", ms=7)
    axes.set_yticks(range(len(shown)), [cut(cell.label, LABEL_CHARACTERS) for cell in shown])
    axes.set_ylim(max(len(shown), 8) - 0.4, -0.6)
    scale(axes, "x", metric)
    axes.set(xlabel=f"validation {metric}")
    which = f"best {len(shown)} of {len(cells)} cells" if len(shown) < len(cells) else "cells"
    axes.set_title(f"{which}: mean and 95 % interval")


def _aside(rates: Sequence[float], count: int) -> Array:
    """Return a factor about 1 for each of ``count`` curves on a log axis with points at rates."""
    gap = float(np.diff(np.log10(rates)).min(initial=1.0))
    decades = ASIDE * gap / count * (np.arange(count) - (count - 1) / 2)
    return np.asarray(10**decades)


def _mark_rates(axes: Axes, rates: Sequence[float]) -> None:
    """Name the rates themselves on the axis where there is room for their names."""
    places = np.log10(rates)
    if len(rates) < 2 or np.diff(places).min() > ROOM * np.ptp(places):
        axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
        axes.minorticks_off()
