"""What it takes to reach a target: updates, epochs and gradients, and time where it is known."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from optlab.report.cells import Cell, best_by_optimizer
from optlab.report.charts import Array, Axis, Chart, Panels, Series, Views
from optlab.report.charts.styles import Style
from optlab.report.evidence import Evidence
from optlab.report.measures.effort import TITLES, Unit, per_update
from optlab.report.measures.targets import Reached, Target, fair_unit, in_words, reached, targets
from optlab.report.page import Column, Section, Table, Value
from optlab.report.sections.arrange import by_task, listed, shown_first, side_by_side
from optlab.report.text import plural

UNITS: tuple[Unit, ...] = get_args(Unit)
#: Tasks of which sentences tell one by one.
MOST_TASKS = 6
MOST_NAMED = 6
UNLIKE = 1.5  # times the rows in an update of another optimizer
COLUMNS = (
    Column("target", "target"),
    Column("optimizer", "optimizer"),
    Column("cell", "cell"),
    Column("runs", "runs"),
    Column("reached it (%)", "reached_percent", 3),
    *(Column(f"{TITLES[unit]}, median", unit.replace(" ", "_")) for unit in UNITS),
)

MEANING = (
    "A run reaches a target at the first record of its validation metric that is as good; between "
    "records nobody looks, so nothing here is finer than the cadence of evaluation. One that never "
    "does counts as infinite and stays in every median; one that loses it again, or diverges "
    "later, has reached it."
)
NO_TIME = (
    "There is no time to the target: a run that trains together with others shares its time with "
    "them, and seconds are told only of runs that are known to have been timed alone."
)


@dataclass(frozen=True, eq=False)
class _Race:
    """The cells of one group on their way to its target."""

    group: str
    target: Target
    cells: Sequence[Cell]
    reached: Mapping[int, Reached]

    @property
    def best(self) -> dict[str, tuple[Cell, Reached]]:
        """The best cell of each optimizer of which anything is known, with its runs."""
        best = best_by_optimizer(self.cells)
        return {n: (c, self.reached[c.rank]) for n, c in best.items() if self.reached[c.rank].runs}


def steps_to_target(evidence: Evidence) -> Section | None:
    """Return what it took to reach each group's target, where curves were kept."""
    goals = targets(evidence)
    races = [
        _Race(group, goals[group], evidence.ranking.groups[group], own)
        for group, own in reached(evidence, goals).items()
    ]
    races = [race for race in races if race.best]
    if not races:
        return None
    units = _units(races)
    sentences = [*map(_result, races[:MOST_TASKS]), MEANING, *_unknown(evidence, races)]
    sentences += [NO_TIME] if "seconds" not in units else []
    return Section(
        "targets",
        "Steps to a target",
        tuple(sentences),
        (_figure(evidence, races, units),),
        (_best_table(races), *_cell_tables(races)),
    )


def _units(races: Sequence[_Race]) -> list[Unit]:
    """Return the units that are known, the first one that in which methods can be compared."""
    units = [unit for unit in UNITS if any(_is_known(race, unit) for race in races)]
    best = [own for race in races for _, own in race.best.values()]
    if any(_are_updates_unlike(race) for race in races):
        units.sort(key=lambda unit: unit != fair_unit(best))
    return units


def _are_updates_unlike(race: _Race) -> bool:
    """Say whether updates of one optimizer take more rows than those of another."""
    rates = [per_update(run, "epochs") for _, own in race.best.values() for run in own.runs]
    known = [rate for rate in rates if not math.isnan(rate)]
    return bool(known) and max(known) > UNLIKE * min(known)


def _is_known(race: _Race, unit: Unit) -> bool:
    return any(own.tells(unit) for _, own in race.best.values())


def _result(race: _Race) -> str:
    """Say what the target is, who is first, and who never gets there."""
    where = f"On {race.group} the" if race.group else "The"
    target = (
        f"{where} target is a validation {race.target.metric} of {race.target.value:.4g}, "
        f"{race.target.origin}."
    )
    unit = fair_unit(own for _, own in race.best.values())
    medians = {name: own.median(unit) for name, (_, own) in race.best.items()}
    least = min(medians.values())
    if not math.isfinite(least):
        return f"{target} No optimizer's best cell reaches it in more than half of its runs."
    first = [name for name, median in medians.items() if median == least]
    never = [name for name, (_, own) in race.best.items() if not own.share]
    return (
        f"{target} Of the best cells, {listed(first, MOST_NAMED)} got there first, after "
        f"{in_words(unit, least)} in the median."
        + (f" Never: {listed(never, MOST_NAMED)}." if never else "")
    )


def _unknown(evidence: Evidence, races: Sequence[_Race]) -> list[str]:
    """Say how many runs kept no curve, and are therefore not in this section."""
    runs = sum(len(evidence.of(cell)) for race in races for cell in race.cells)
    known = sum(len(own.runs) for race in races for own in race.reached.values())
    if runs == known:
        return []
    return [f"{plural(runs - known, 'run')} kept no curve: when they had the target is not known."]


def _figure(evidence: Evidence, races: Sequence[_Race], units: Sequence[Unit]) -> Views:
    caption = (
        "Share of the runs of each optimizer's best cell that have reached the target so far. A "
        "step is one run or more; what ends below 1 missed it in some runs."
    )
    choices: dict[str, Chart | Panels] = {}
    for unit in units:
        own = f"targets_by_{unit.replace(' ', '_')}"
        charts = [
            _chart(evidence, race, unit, f"{own}_{place}")
            for place, race in enumerate(races, start=1)
            if _is_known(race, unit)
        ]
        choices[f"by {unit}"] = side_by_side(own, f"Runs at the target, by {unit}", "", charts)
    return Views("targets", "Runs that reached the target", caption, choices, "axis")


def _chart(evidence: Evidence, race: _Race, unit: Unit, name: str) -> Chart:
    end, first = max(_ends(race, unit)), shown_first(evidence.ranking)
    series = [
        _steps(optimizer, own.costs(unit), end, evidence.looks[optimizer], optimizer in first)
        for optimizer, (_, own) in race.best.items()
        if not math.isnan(own.median(unit))
    ]
    y = Axis("share of runs at the target", ends=(0.0, 1.05))
    title = f"{race.group}: {race.target.metric} {race.target.value:.4g}".removeprefix(": ")
    return Chart(name, title, "", Axis(TITLES[unit]), y, tuple(series))


def _ends(race: _Race, unit: Unit) -> list[float]:
    """Return how far the runs of the best cells went."""
    return [
        run.result.updates * per_update(run, unit)
        for _, own in race.best.values()
        for run in own.runs
        if not math.isnan(per_update(run, unit))
    ]


def _steps(optimizer: str, costs: Array, end: float, look: Style, is_shown: bool) -> Series:
    """Return the share of runs that have reached the target, by what it took."""
    taken, counts = np.unique(costs[np.isfinite(costs)], return_counts=True)
    share = np.cumsum(counts) / len(costs)
    last = share[-1] if len(share) else 0.0
    return Series(
        optimizer,
        np.array([0.0, *taken, end]),
        np.array([0.0, *share, last]),
        look=look,
        kind="steps",
        is_shown=is_shown,
    )


def _best_table(races: Sequence[_Race]) -> Table:
    caption = (
        "The best cell of each optimizer by its final validation metric, the first to reach the "
        "target first. Medians are over runs, and infinite where half of them or more miss it."
    )
    rows = [row for race in races for row in _rows(race, race.best.values())]
    return Table("targets", "What the target took", caption, *by_task(COLUMNS, rows))


def _cell_tables(races: Sequence[_Race]) -> list[Table]:
    """Return the table of every cell, unless all are the best of their optimizers."""
    if all(len(race.best) == len(race.cells) for race in races):
        return []
    caption = "Of every cell: the one that ends best is not always the first to reach the target."
    rows = [
        row
        for race in races
        for row in _rows(race, [(cell, race.reached[cell.rank]) for cell in race.cells])
    ]
    columns, values = by_task(COLUMNS, rows)
    return [Table("targets_by_cell", "What it took each cell", caption, columns, values, most=10)]


def _rows(
    race: _Race, cells: Iterable[tuple[Cell, Reached]]
) -> list[tuple[str, tuple[Value, ...]]]:
    known = [(cell, own) for cell, own in cells if own.runs]
    unit = fair_unit(own for _, own in known)
    known.sort(key=lambda pair: (pair[1].median(unit), -pair[1].share, pair[0].rank))
    return [
        (
            race.group,
            (
                race.target.value,
                cell.optimizer,
                cell.label,
                len(own.runs),
                100 * own.share,
                *(own.median(each) if _is_known(race, each) else None for each in UNITS),
            ),
        )
        for cell, own in known
    ]
