"""Learning curves: mean and range over seeds of the best cells, by everything a run can cost."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from optlab.report.charts import Array, Chart, Figure, Panels, Views
from optlab.report.charts.file_names import file_names
from optlab.report.evidence import Evidence
from optlab.report.measures.curves import MOST_POINTS
from optlab.report.measures.effort import Unit
from optlab.report.page import Section
from optlab.report.sections.curve_charts import (
    Quantity,
    curve_chart,
    curve_panel,
    num_curves,
    num_shown,
    quantities,
    update_costs,
)
from optlab.report.text import capital

#: By epochs first: batches of one row and of all make very different numbers of updates.
UNITS: dict[Unit, str] = {
    "epochs": "by epochs",
    "updates": "by updates",
    "row gradients": "by gradient evaluations",
    "seconds": "by time",
}
MOST_GROUPS = 6  # that have a figure of their own beside the panels of all
COLUMNS = 2  # of the panels
#: Points of all curves of a page together; where they are many, each curve has fewer.
ALL_POINTS, FEWEST_POINTS = 60_000, 40

HOW_TO_READ = (
    "A line is the mean over seeds and its band their range: no seed lies outside. A run that "
    "stopped early keeps its last value; one that diverged or failed has the worst from then on, "
    "accuracy 0 or an infinite loss. A mean loss therefore ends where a seed is lost, with a cross "
    "at the edge. Of a loss, what lies far above where the curves begin is cut off."
)
NO_TIME = (
    "There is no axis of time: runs that train together share it, and only runs that were timed "
    "alone could be compared by it."
)
NO_GRADIENTS = (
    "There is no axis of gradient evaluations: not every run has a record of how many it made."
)


def curves(evidence: Evidence) -> Section | None:
    """Return the curves of the best cells, or None where no run kept any."""
    groups = [g for g in evidence.ranking.groups if _first_chart(evidence, g) is not None]
    if not groups:
        return None
    costs = {unit: update_costs(evidence, groups, unit) for unit in UNITS}
    units = _distinct({unit: own for unit, own in costs.items() if own is not None})
    sentences = [HOW_TO_READ]
    sentences += [NO_GRADIENTS] if costs["row gradients"] is None else []
    sentences += [NO_TIME] if costs["seconds"] is None else []
    figures = (
        _by_quantity(evidence, groups[0], units)
        if len(groups) == 1
        else [*_side_by_side(evidence, groups, units), *_by_group(evidence, groups)]
    )
    return Section("curves", "Learning curves", tuple(sentences), figures=tuple(figures))


def _distinct(costs: Mapping[Unit, Array]) -> list[Unit]:
    """Return the units that are no copies: on a test function an update is an epoch."""
    found: dict[Unit, Array] = {}
    for unit, own in costs.items():
        if not any(np.array_equal(own, other) for other in found.values()):
            found[unit] = own
    return list(found)


def _first_chart(evidence: Evidence, group: str) -> Chart | None:
    """Return a chart of what the group is ranked by, or of what else was recorded."""
    for quantity in quantities(evidence.ranking.metrics[group]):
        chart = curve_chart(evidence, group, quantity, "epochs", FEWEST_POINTS)
        if chart is not None:
            return chart
    return None


def _by_quantity(evidence: Evidence, group: str, units: Sequence[Unit]) -> list[Figure]:
    """Return a figure for each quantity, with a choice of what lies along it."""
    known = quantities(evidence.ranking.metrics[group])
    most = _points(num_curves(evidence, group) * len(known) * len(units))
    figures: list[Figure] = []
    for quantity in known:
        charts = {UNITS[unit]: curve_chart(evidence, group, quantity, unit, most) for unit in units}
        choices = {choice: chart for choice, chart in charts.items() if chart is not None}
        if choices:
            name, title = f"curves_{quantity.word}", capital(quantity.title)
            figures.append(Views(name, title, _which(evidence, group), choices, "axis"))
    return figures


def _side_by_side(evidence: Evidence, groups: Sequence[str], units: Sequence[Unit]) -> list[Figure]:
    """Return what each group is ranked by in panels, with a choice of what lies along them."""
    most = _points(sum(num_curves(evidence, group) for group in groups) * len(units))
    choices: dict[str, Panels] = {}
    for unit in units:
        charts = [
            curve_panel(evidence, group, _ranked_by(evidence, group), unit, most)
            for group in groups
        ]
        own = tuple(chart for chart in charts if chart is not None)
        choice = UNITS[unit]
        name = f"curves_{_word(choice)}"
        choices |= {choice: Panels(name, f"Validation {choice}", "", own, COLUMNS)} if own else {}
    caption = (
        "What cells are ranked by, of the best cell of each optimizer in each task: its learning "
        "rate and all else may be another in another task. Where there are many optimizers the "
        "legend has more."
    )
    title = "Validation in every task"
    return [Views("curves", title, caption, choices, "axis")] if choices else []


def _by_group(evidence: Evidence, groups: Sequence[str]) -> list[Figure]:
    """Return a figure for each of the first groups, with a choice of the quantity."""
    shown = groups[:MOST_GROUPS]
    known = {group: quantities(evidence.ranking.metrics[group]) for group in shown}
    most = _points(sum(num_curves(evidence, g) * len(own) for g, own in known.items()))
    figures: list[Figure] = []
    for group, name in file_names("curves_of", shown).items():
        charts = {
            quantity.title: curve_chart(evidence, group, quantity, "epochs", most)
            for quantity in known[group]
        }
        choices = {choice: chart for choice, chart in charts.items() if chart is not None}
        named = {
            choice: replace(chart, name=f"{name}_{_word(choice)}", title=f"{group}: {choice}")
            for choice, chart in choices.items()
        }
        figures.append(Views(name, group, _which(evidence, group), named, "curve"))
    return figures


def _which(evidence: Evidence, group: str) -> str:
    """Return which cells a chart of one group shows."""
    cells, there = evidence.ranking.groups[group], num_curves(evidence, group)
    best = f"the best {there} of {len(cells)} cells" if there < len(cells) else "all cells"
    if num_shown(evidence, group) == there:
        return f"{capital(best)}."
    several = len({cell.optimizer for cell in cells}) > 1
    shown = "The best cell of each of the best optimizers" if several else "The best cells"
    return (
        f"{shown} at first; the legend has {best}, dotted where their optimizer has a better one."
    )


def _ranked_by(evidence: Evidence, group: str) -> Quantity:
    return quantities(evidence.ranking.metrics[group])[0]


def _points(num: int) -> int:
    """Return how many points each of so many curves may have."""
    return max(FEWEST_POINTS, min(MOST_POINTS, ALL_POINTS // max(num, 1)))


def _word(text: str) -> str:
    return text.replace(" ", "_")
