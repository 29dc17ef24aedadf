"""Charts of learning curves: the best cells of a group, over what their runs cost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optlab.loggers.base import TRAIN_LOSS, VAL_LOSS
from optlab.report.cells import ACCURACY, LOSS, Cell, best_by_optimizer
from optlab.report.charts import Array, Axis, Chart, Series
from optlab.report.charts.scales import suited
from optlab.report.charts.styles import COLOURS, Style, styles
from optlab.report.evidence import Evidence
from optlab.report.measures.curves import Band, band
from optlab.report.measures.effort import TITLES, Unit, per_update
from optlab.report.text import capital

MOST_SHOWN, MOST_CELLS = 8, 40  # of a group: shown at first, and in the legend
DOTS = (0, (1, 1.5))  # of cells that are not shown at first
#: How far above the highest start a loss is shown; what diverges would flatten all else.
ROOM = 2.0


@dataclass(frozen=True)
class Quantity:
    """What curves show.

    Attributes:
        tag: Of its records, such as ``"loss/val"``.
        metric: What it is, ``"accuracy"`` or ``"loss"``.
        title: What it is called.
    """

    tag: str
    metric: str
    title: str

    @property
    def word(self) -> str:
        """What it is called in the name of a file."""
        return self.title.replace(" ", "_")


def quantities(metric: str) -> list[Quantity]:
    """Return what there may be curves of in a group, what it is ranked by first."""
    ranked = Quantity(f"{metric}/val", metric, f"validation {metric}")
    losses = [
        Quantity(VAL_LOSS, LOSS, "validation loss"),
        Quantity(TRAIN_LOSS, LOSS, "training loss"),
    ]
    return [ranked, *losses[metric != ACCURACY :]]


def update_costs(evidence: Evidence, groups: Sequence[str], unit: Unit) -> Array | None:
    """Return what an update of each run with a curve cost, None where it is not known of all."""
    cells = [cell for group in groups for cell in _candidates(evidence, group)]
    runs = [run for cell in cells for run in evidence.of(cell) if run.result.updates]
    costs = np.array([per_update(run, unit) for run in runs], dtype=float)
    return None if not len(costs) or np.isnan(costs).any() else costs


def curve_chart(
    evidence: Evidence, group: str, quantity: Quantity, unit: Unit, most: int
) -> Chart | None:
    """Return the curves of the best cells, those of further cells hidden at first.

    Args:
        evidence: What is known of the runs.
        group: The cells' group.
        quantity: What the curves show.
        unit: What lies along them.
        most: Points of a curve.

    Returns:
        None where no run has a record of it.
    """
    rows = evidence.rows(quantity.tag)
    bands = {
        cell.label: band(evidence.of(cell), quantity.tag, rows, unit, most)
        for cell in _candidates(evidence, group)
    }
    found = {label: curve for label, curve in bands.items() if curve is not None}
    if not found:
        return None
    looks, first = _looks(evidence, group), {cell.label for cell in _shown(evidence, group)}
    return Chart(
        f"curves_{quantity.word}_by_{unit.replace(' ', '_')}",
        f"{capital(quantity.title)} by {unit}",
        "",
        Axis(TITLES[unit]),
        _upward(quantity, [found[label] for label in found if label in first]),
        tuple(_series(label, found[label], looks[label], label in first, unit) for label in found),
        can_be_log=quantity.metric == LOSS,
        x_can_be_log=True,
    )


def curve_panel(
    evidence: Evidence, group: str, quantity: Quantity, unit: Unit, most: int
) -> Chart | None:
    """Return the chart of one group among several: by optimizer, the best cell of each alone."""
    whole = curve_chart(evidence, group, quantity, unit, most)
    if whole is None:
        return None
    best = best_by_optimizer(evidence.ranking.groups[group])
    names = {cell.label: optimizer for optimizer, cell in best.items()}
    looks = evidence.looks
    series = tuple(
        replace(each, name=names[each.name], look=looks[names[each.name]])
        for each in whole.series
        if each.name in names
    )
    return replace(whole, title=group, series=series)


def num_curves(evidence: Evidence, group: str) -> int:
    """Return how many cells a chart of a group has."""
    return len(_candidates(evidence, group))


def num_shown(evidence: Evidence, group: str) -> int:
    """Return how many of them are shown at first."""
    return len(_shown(evidence, group))


def _candidates(evidence: Evidence, group: str) -> list[Cell]:
    """Return the cells of a chart, those shown at first before all others."""
    shown = _shown(evidence, group)
    places = {cell.label for cell in shown}
    rest = [cell for cell in evidence.ranking.groups[group] if cell.label not in places]
    return [*shown, *rest[: MOST_CELLS - len(shown)]]


def _shown(evidence: Evidence, group: str) -> list[Cell]:
    """Return the best cell of each optimizer; of one optimizer alone, its best cells."""
    cells = evidence.ranking.groups[group]
    best = list(best_by_optimizer(cells).values())
    return best[:MOST_SHOWN] if len(best) > 1 else list(cells[: len(COLOURS)])


def _looks(evidence: Evidence, group: str) -> Mapping[str, Style]:
    """Return the look of each cell by its label: its optimizer's, or its own where there is one."""
    shown = _shown(evidence, group)
    own = {cell.label: evidence.looks[cell.optimizer] for cell in shown}
    if len({cell.optimizer for cell in shown}) == 1:
        own = styles(cell.label for cell in shown)
    rest = {
        cell.label: Style(evidence.looks[cell.optimizer].color, DOTS)
        for cell in _candidates(evidence, group)
    }
    return rest | own


def _series(label: str, curve: Band, look: Style, is_shown: bool, unit: Unit) -> Series:
    return Series(
        label,
        curve.x,
        curve.mean,
        curve.low,
        curve.high,
        look=look,
        # No two runs take the same time: between one's records those of others move the mean.
        kind="steps" if unit == "seconds" else "line",
        is_shown=is_shown,
    )


def _upward(quantity: Quantity, shown: Sequence[Band]) -> Axis:
    """Return the axis of values; of a loss it ends not far above where the curves begin."""
    title = quantity.title
    drawn = [values for curve in shown for values in (curve.mean, curve.low, curve.high)]
    values = np.concatenate([*drawn, np.empty(0)])
    finite = values[np.isfinite(values)]
    starts = [mean for curve in shown for mean in curve.mean[:1] if math.isfinite(mean)]
    if quantity.metric == ACCURACY or not starts:
        return Axis(title, suited(quantity.metric, finite))
    low, start = float(finite.min()), max(starts)
    high = start * ROOM if low > 0 else start + (start - low) / ROOM
    if high >= finite.max() or not low < high:
        return Axis(title, suited(LOSS, finite))
    return Axis(title, suited(LOSS, finite[finite <= high]), ends=(low, high))
