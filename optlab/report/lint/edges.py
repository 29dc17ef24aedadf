"""Whether the best learning rate lies inside of what was tried."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from optlab.report.cells import LEARNING_RATE
from optlab.report.evidence import Evidence
from optlab.report.lint.compared import MOST_NAMED, on
from optlab.report.lint.lines import (
    Line,
    changed,
    extend,
    given,
    is_free,
    optimizers_in,
)
from optlab.report.lint.whole import whole_lines
from optlab.report.measures.swept import Swept, sweeps
from optlab.report.page import Objection
from optlab.report.sections.arrange import listed

DECADE = 10.0


class Edge(NamedTuple):
    """An optimizer whose best learning rate is the lowest or the highest one that was tried.

    Attributes:
        group: Of its cells.
        optimizer: What it is called.
        rate: The best one.
        place: What that is, such as ``the highest``.
        is_low: Whether the edge is the lower one.
        beyond: The next rate of a grid.
    """

    group: str
    optimizer: str
    rate: float
    place: str
    is_low: bool
    beyond: float


def edge_optimum(evidence: Evidence) -> list[Objection]:
    """Object where the best rate is the lowest or highest one: the true best may lie beyond."""
    found = edges(evidence)
    is_grid = all(is_free(line) for sweep in evidence.sweeps for line in sweep.lines)
    if not (found and is_grid):  # winners of a protocol are no grid, and its section has edges
        return []
    groups = list(dict.fromkeys(each.group for each in found))
    sentence = (
        f"The best learning rate lies on the edge of what was tried{on(*groups)}: {_told(found)}. "
        "A better one may lie beyond, and its optimizer be ranked too low."
    )
    return [Objection("edge_optimum", sentence, _command(evidence, found))]


def edges(evidence: Evidence) -> list[Edge]:
    """Return the optimizers of each group whose best cell lies on the edge, the best one first.

    Of a search of many rates, the edge is the outermost tenth of them.
    """
    found = []
    for group, cells in evidence.ranking.ranked.items():
        own = [cell for cell in cells if _is_rate(cell.key.get(LEARNING_RATE))]
        for optimizer, swept in (sweeps(own, LEARNING_RATE) if own else {}).items():
            found += _edges(group, optimizer, swept)
    return found


def _edges(group: str, optimizer: str, swept: Swept) -> list[Edge]:
    """Return the edge that an optimizer's best cell lies on, none where it is inside or useless."""
    end, rates, costs = swept.end, [*swept.tried], swept.tried_costs
    best = costs.min()
    is_flat = costs[0] == costs[-1] == best  # if it does not matter below, it does not beyond
    if not end or is_flat or best == 0:  # no accuracy at all, or no loss
        return []
    outer, inner = (rates[0], rates[1]) if end == "low" else (rates[-1], rates[-2])
    beyond = float(f"{outer * outer / inner:.1g}")
    rate = rates[costs.argmin()]
    return [Edge(group, optimizer, rate, swept.place, end == "low", beyond)]


def _is_rate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _command(evidence: Evidence, found: Sequence[Edge]) -> str:
    """Return what tries rates one step further, for all of a line, so that budgets stay equal."""
    known = {cell.optimizer for cell in evidence.ranking.cells}
    lines = []
    for folder, line in whole_lines(evidence):
        own = [each for each in found if each.optimizer in optimizers_in(line, known)]
        if own and given(line, LEARNING_RATE) is not None:
            further = [changed(line, {LEARNING_RATE: word}) for word in _further(line, own)]
            lines += [(folder, each) for each in further]
    return extend(lines)


def _further(line: Line, found: Sequence[Edge]) -> list[str]:
    """Return the rates beyond the edges: a step of the grid, or a decade of what is searched."""
    if "interval(" not in (given(line, LEARNING_RATE) or ""):
        return [",".join(f"{rate:g}" for rate in sorted({each.beyond for each in found}))]
    low = [each.rate for each in found if each.is_low]
    high = [each.rate for each in found if not each.is_low]
    ends = [(min(low) / DECADE, min(low))] if low else []
    ends += [(max(high), max(high) * DECADE)] if high else []
    return [f"tag(log,interval({start:.3g},{end:.3g}))" for start, end in ends]


def _told(found: Sequence[Edge]) -> str:
    """Return ``the highest, 1, for adam and nag; the lowest, 0.001, for lion``."""
    places: dict[tuple[str, float], dict[str, None]] = defaultdict(dict)
    for each in found:
        places[each.place, each.rate][each.optimizer] = None
    parts = [
        f"{place}, {rate:.3g}, for {listed([*names], MOST_NAMED)}"
        for (place, rate), names in places.items()
    ]
    return "; ".join(parts[:MOST_NAMED]) + (" and others" if len(parts) > MOST_NAMED else "")
