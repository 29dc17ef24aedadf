"""Which factor the validation metric hangs on: shares of its variance (functional ANOVA)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from optlab.report.cells import ACCURACY, Cell
from optlab.report.charts import Array, Axis, Chart, Figure, Heatmap, Series
from optlab.report.charts.styles import COLOURS, REST, Style
from optlab.report.evidence import Evidence
from optlab.report.page import Column, Table, Value
from optlab.report.ranking import score
from optlab.report.sections.arrange import by_task
from optlab.report.sections.factor import Factor, factors_of
from optlab.statistics.importance import Shares, variance_shares

NAME = "factor_importance"
#: What shares leave.
LEFT = "seeds, and three factors or more"
#: Effects in a figure; the table has all.
MOST_SHOWN = 12
#: Runs that are taken singly; of more, means of cells are, and of these so many, evenly from the
#: best to the worst, as the time for a fit grows with them.
MOST_POINTS = 2_000

COLUMNS = (
    Column("factor", "factor"),
    Column("share of the variance (%)", "share_percent", decimals=1),
    Column("share that noise alone would have (%)", "by_chance_percent", decimals=1),
    Column("levels", "levels"),
)


@dataclass(frozen=True, eq=False)
class Effect:
    """What a factor, or two together, do.

    Attributes:
        title: The factor, or both.
        places: Of its factors among those of the group.
        share: Of the variance, from 0 to 1.
        chance: Share that it would have if only the rest were at work; nan where nothing tells.
        levels: How many it has, or pairs of them.
    """

    title: str
    places: tuple[int, ...]
    share: float
    chance: float
    levels: int


@dataclass(frozen=True, eq=False)
class Importance:
    """What the values of one group hang on.

    Attributes:
        group: Its name; "" where there is but one.
        cells: Its cells that have a value.
        factors: What varied among them.
        effects: Of factors and of pairs, the largest first.
        rest: Share of seeds, and of three factors and more together.
        points: How many values there were.
    """

    group: str
    cells: tuple[Cell, ...]
    factors: tuple[Factor, ...]
    effects: tuple[Effect, ...]
    rest: float
    points: int

    @property
    def tells_noise(self) -> bool:
        """Whether runs, or three factors and more, are left to tell noise from what pairs do."""
        return not np.isnan(self.effects[0].chance)


def importance(evidence: Evidence, group: str) -> Importance | None:
    """Return what the values of a group hang on, or None where fewer than two factors varied.

    Accuracies are taken as they are; losses, which lie orders of magnitude apart, by their ranks.
    """
    cells = tuple(cell for cell in evidence.ranking.groups[group] if not np.isnan(cell.val.mean))
    factors = factors_of(cells) if cells else []
    if len(factors) < 2:
        return None
    places, values = _points(evidence, cells)
    if cells[0].metric != ACCURACY:
        values = rankdata(values)
    shares = variance_shares(np.stack([f.codes[places] for f in factors], axis=1), values)
    effects = tuple(sorted(_effects(factors, shares), key=lambda effect: -effect.share))
    return Importance(group, cells, tuple(factors), effects, shares.rest, len(values))


def _effects(factors: Sequence[Factor], shares: Shares) -> Iterator[Effect]:
    """Yield what each factor does, and what each pair does beyond that."""
    for i, one in enumerate(factors):
        own = float(shares.factors[i]), float(shares.chance[i])
        yield Effect(one.title, (i,), *own, len(one.levels))
    for (i, j), share in shares.pairs.items():
        title = f"{factors[i].title} with {factors[j].title}"
        levels = len(factors[i].levels) * len(factors[j].levels)
        yield Effect(title, (i, j), share, shares.pair_chance[i, j], levels)


def _points(evidence: Evidence, cells: Sequence[Cell]) -> tuple[list[int], Array]:
    """Return the cell and the value of every run, or of cells where runs are too many."""
    if sum(cell.runs for cell in cells) > MOST_POINTS:
        count = len(cells)
        shown = np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).round().astype(int))
        return shown.tolist(), np.array([cells[i].val.mean for i in shown])
    pairs = [
        (place, score(run, "val", cell.metric))
        for place, cell in enumerate(cells)
        for run in evidence.of(cell)
    ]
    return [place for place, _ in pairs], np.array([value for _, value in pairs])


def figure(found: Sequence[Importance]) -> Figure:
    """Return the shares of one group as points, of several as a table in colours."""
    caption = (
        "Share of the variance of the validation metric over all runs that each factor explains "
        "alone, and that two explain together beyond what each does alone. Diverged runs count as "
        "the worst. Up to what noise alone would have, a share says nothing."
    )
    title = "Shares of the variance"
    if len(found) == 1:
        return _chart(found[0], title, caption)
    return _map(found, title, caption)


def _chart(one: Importance, title: str, caption: str) -> Chart:
    shown = one.effects[:MOST_SHOWN]
    places = np.arange(len(shown), dtype=float)
    shares = np.array([100 * effect.share for effect in shown])
    chances = np.array([100 * effect.chance for effect in shown])
    explained = Series(
        "explained",
        shares,
        places,
        left=np.zeros(len(shown)),
        right=shares,
        look=Style(COLOURS[0], marker="o"),
        kind="points",
        texts=tuple(f"{effect.title}: {100 * effect.share:.3g} %" for effect in shown),
    )
    noise = Series(
        "noise alone", chances, places, look=Style(REST.color, marker="D"), kind="points"
    )
    return Chart(
        NAME,
        title,
        caption,
        Axis("share of the variance (%)"),
        Axis("", "names", tuple(effect.title for effect in shown)),
        (explained, noise) if np.isfinite(chances).any() else (explained,),
    )


def _map(found: Sequence[Importance], title: str, caption: str) -> Heatmap:
    """Return groups by effects, those first that explain most on average."""
    own = [{effect.title: 100 * effect.share for effect in one.effects} for one in found]
    names = dict.fromkeys(name for shares in own for name in shares)
    merit = {name: sum(shares.get(name, 0.0) for shares in own) for name in names}
    shown = sorted(names, key=lambda name: -merit[name])[:MOST_SHOWN]
    values = np.array([[shares.get(name, np.nan) for name in shown] for shares in own])
    return Heatmap(
        NAME,
        title,
        caption,
        Axis("factor", "names", tuple(shown)),
        Axis("task", "names", tuple(one.group for one in found)),
        values,
        tuple(tuple("" if np.isnan(v) else f"{v:.0f}" for v in row) for row in values),
        "share of the variance (%)",
    )


def table(found: Sequence[Importance]) -> Table:
    """Return every share, and for each group what is left."""
    rows: list[tuple[str, Sequence[Value]]] = []
    for one in found:
        for each in one.effects:
            rows.append((one.group, (each.title, 100 * each.share, 100 * each.chance, each.levels)))
        if one.tells_noise:
            rows.append((one.group, (LEFT, 100 * one.rest, None, None)))
    columns, values = by_task(COLUMNS, rows)
    return Table(
        NAME, "Shares of the variance", "Shares of a task add up to 100 %.", columns, values
    )
