"""Performance profiles: on what share of tasks a method is nearly as fast as the fastest."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from optlab.report.cells import Cell, best_by_optimizer
from optlab.report.charts import Array, Axis, Chart, Series, Views
from optlab.report.charts.styles import Style
from optlab.report.evidence import Evidence
from optlab.report.measures.effort import Unit
from optlab.report.measures.standings import num_apart
from optlab.report.measures.targets import Reached, fair_unit, reached, targets
from optlab.report.page import Column, Section, Table
from optlab.report.sections.arrange import MOST_SHOWN, dependence, listed
from optlab.report.text import plural
from optlab.statistics.profiles import TAU, integrated_score, profile, ratios

#: When the runs of each cell had the target, by group and rank.
Costs = Mapping[str, Mapping[int, Reached]]

#: Methods that a sentence names.
MOST_NAMED = 4
FIXED_COLUMNS = (
    Column("best setting for all tasks", "setting"),
    Column("score of that setting", "score_fixed", 3),
    Column("targets it reached", "reached_fixed"),
    Column("its effort over the fastest (geometric mean)", "ratio_fixed", 3),
)


@dataclass(frozen=True, eq=False)
class _Profile:
    """Methods over tasks.

    Attributes:
        names: Of the methods, the best score first, M.
        optimizers: Of each, M.
        ratios: What each took as a multiple of the least, (M, T).
        scores: Mean height of each one's profile, (M).
    """

    names: Sequence[str]
    optimizers: Sequence[str]
    ratios: Array
    scores: Array

    @property
    def best(self) -> "_Profile":
        """The best method of each optimizer; ratios stay those to the best of all methods."""
        places = [self.optimizers.index(name) for name in dict.fromkeys(self.optimizers)]
        return _Profile(
            [self.names[place] for place in places],
            [self.optimizers[place] for place in places],
            self.ratios[places],
            self.scores[places],
        )


def profiles(evidence: Evidence) -> Section | None:
    """Return profiles over the groups that have a target, where there are two or more."""
    known = reached(evidence, targets(evidence))
    if len(known) < 2:
        return None
    unit = fair_unit(chain.from_iterable(own.values() for own in known.values()))
    tuned = _profile(_tuned(evidence, known), known, unit)
    if not np.isfinite(tuned.ratios).any():
        return None
    fixed = _profile(_fixed(evidence, known), known, unit).best
    apart = num_apart(evidence, known)
    return Section(
        "profiles",
        "Performance profiles",
        (_meaning(unit, len(known)), *dependence(len(known), apart), _result(tuned, fixed)),
        (_figure(evidence, tuned, fixed),),
        (_table(tuned, fixed),),
    )


def _tuned(evidence: Evidence, known: Costs) -> dict[str, dict[str, Cell]]:
    """Return the best cell of each optimizer in each group."""
    found: dict[str, dict[str, Cell]] = {}
    for group in known:
        for name, cell in best_by_optimizer(evidence.ranking.groups[group]).items():
            found.setdefault(name, {})[group] = cell
    return found


def _fixed(evidence: Evidence, known: Costs) -> dict[str, Mapping[str, Cell]]:
    """Return the cells of each setting that was tried in every group."""
    return {name: own for name, own in evidence.methods.items() if set(known) <= set(own)}


def _profile(methods: Mapping[str, Mapping[str, Cell]], known: Costs, unit: Unit) -> _Profile:
    """Return the profile of some methods, of each the cell by group."""
    if not methods:
        return _Profile([], [], np.empty((0, len(known))), np.empty(0))
    taken = [
        [_median(known[group], own.get(group), unit) for group in known] for own in methods.values()
    ]
    multiples = ratios(np.array(taken))
    scores = integrated_score(multiples)
    order = np.argsort(-scores, kind="stable")
    names = list(methods)
    optimizers = [next(iter(own.values())).optimizer for own in methods.values()]
    return _Profile(
        [names[place] for place in order],
        [optimizers[place] for place in order],
        multiples[order],
        scores[order],
    )


def _median(known: Mapping[int, Reached], cell: Cell | None, unit: Unit) -> float:
    return math.nan if cell is None else known[cell.rank].median(unit)


def _meaning(unit: Unit, num_tasks: int) -> str:
    measure = "gradients of rows" if unit == "row gradients" else unit
    return (
        f"Over {plural(num_tasks, 'task')}: on what share of them a method's median over seeds to "
        f"the target, in {measure}, is at most tau times that of the fastest method there (Dolan "
        f"and More, 2002). Its score is the mean height of the line from 1 to {TAU:g}, its area: 1 "
        f"for the fastest everywhere, 0 for one that takes {TAU:g} times as long or misses the "
        "target. Not to have been run on a task counts as missing its target. With few tasks a "
        "profile has few steps, and each of them hangs on a single task."
    )


def _result(tuned: _Profile, fixed: _Profile) -> str:
    text = f"With the hyperparameters chosen on each task's validation split, {_first(tuned)}."
    if fixed.names:
        text += (
            f" With the same hyperparameters on all tasks, {_first(fixed)}: of each optimizer the "
            "setting of the highest such score, among those that were tried on every task."
        )
    return text


def _first(own: _Profile) -> str:
    """Name the methods of the highest score."""
    names = [n for n, score in zip(own.names, own.scores, strict=True) if score == own.scores[0]]
    have = "has" if len(names) == 1 else "have"
    return f"{listed(names, MOST_NAMED)} {have} the highest score, {own.scores[0]:.3g}"


def _figure(evidence: Evidence, tuned: _Profile, fixed: _Profile) -> Views:
    caption = (
        "Share of tasks on which a method reaches the target within tau times what the fastest "
        "takes. Higher is better; the left end is how often it is the fastest."
    )
    choices = {"tuned for each task": _chart(evidence, tuned, "profiles_tuned")}
    if fixed.names:
        choices["one setting for all tasks"] = _chart(evidence, fixed, "profiles_fixed")
    return Views("profiles", "Performance profiles", caption, choices, "tuning")


def _chart(evidence: Evidence, own: _Profile, name: str) -> Chart:
    title = "Tuned for each task" if name == "profiles_tuned" else "One setting for all tasks"
    series = [
        _line(own, place, evidence.looks[optimizer])
        for place, optimizer in enumerate(own.optimizers)
    ]
    x = Axis("tau: effort as a multiple of the fastest", ends=(0.95, TAU + 0.05))
    y = Axis("share of tasks", ends=(0.0, 1.05))
    return Chart(name, title, "", x, y, tuple(series))


def _line(own: _Profile, place: int, look: Style) -> Series:
    within = own.ratios[place][own.ratios[place] < TAU]
    taus = np.unique([1.0, *within, TAU])
    height = profile(own.ratios[place : place + 1], taus)[0]
    return Series(
        own.names[place], taus, height, look=look, kind="steps", is_shown=place < MOST_SHOWN
    )


def _table(tuned: _Profile, fixed: _Profile) -> Table:
    num_tasks = tuned.ratios.shape[1]
    columns = (
        Column("optimizer", "optimizer"),
        Column("score, tuned for each task", "score_tuned", 3),
        Column(f"targets reached (of {num_tasks})", "reached_tuned"),
        Column("effort over the fastest (geometric mean)", "ratio_tuned", 3),
        *(FIXED_COLUMNS if fixed.names else ()),
    )
    of_fixed = {name: _numbers(fixed, place) for place, name in enumerate(fixed.optimizers)}
    settings = dict(zip(fixed.optimizers, fixed.names, strict=True))
    rows = [
        (
            name,
            *_numbers(tuned, place),
            *((settings.get(name), *of_fixed.get(name, (None,) * 3)) if fixed.names else ()),
        )
        for place, name in enumerate(tuned.optimizers)
    ]
    caption = (
        "Geometric means are over the targets that were reached; a method that reached few has "
        "one of few. A target is reached where more than half of the runs reach it."
    )
    return Table("profiles", "Scores of the profiles", caption, columns, rows)


def _numbers(own: _Profile, place: int) -> tuple[float, int, float]:
    multiples = own.ratios[place][np.isfinite(own.ratios[place])]
    mean = float(np.exp(np.log(multiples).mean())) if len(multiples) else math.nan
    return float(own.scores[place]), len(multiples), mean
