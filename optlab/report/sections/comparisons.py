"""Which differences hold: the best cell of each optimizer against the best of all, by seed."""

from collections.abc import Sequence

import numpy as np

from optlab.report.cells import ACCURACY, merit
from optlab.report.charts import Axis, Chart, Figure, Mark, Series, Views
from optlab.report.charts.file_names import file_names
from optlab.report.evidence import Evidence
from optlab.report.measures.pairs import LEVEL, Comparison, Contest, contests
from optlab.report.page import Column, Section, Table, Value
from optlab.report.sections.arrange import by_task, listed
from optlab.report.text import plural
from optlab.statistics.paired import smallest_p

MOST_NAMED = 8  # optimizers in a sentence
MOST_TASKS = 8  # of which sentences tell one by one

COLUMNS = (
    Column("optimizer", "optimizer"),
    Column("cell", "cell"),
    Column("compared with", "best_cell"),
    Column("paired seeds", "pairs"),
    Column("mean difference", "difference", 3),
    Column("from", "difference_low", 3),
    Column("to", "difference_high", 3),
    Column("p (permutation)", "p_permutation", 2),
    Column("p (Holm)", "p_holm", 2),
    Column("p (Wilcoxon)", "p_wilcoxon", 2),
    Column("chance to be beaten", "beaten", 2),
    Column("from", "beaten_low", 2),
    Column("to", "beaten_high", 2),
    Column("holds", "holds"),
)


def comparisons(evidence: Evidence) -> Section | None:
    """Return the section, or None where no task has two optimizers."""
    found = contests(evidence)
    if not found:
        return None
    seeded = [contest for contest in found if not contest.is_seedless]
    tested = [contest for contest in seeded if contest.pairs > 1]
    sentences = [_method(tested)] if tested else []
    sentences += [_result(contest) for contest in tested[:MOST_TASKS]]
    if len(tested) > MOST_TASKS:
        sentences.append(f"{plural(len(tested) - MOST_TASKS, 'more task')} are in the table.")
    sentences += [*_too_few(seeded, len(found)), *_picked(tested), *_seedless(found)]
    figures = _figures(evidence, tested)
    tables = (_table(tested),) if tested else ()
    return Section("comparisons", "Which differences hold", tuple(sentences), figures, tables)


def _method(tested: Sequence[Contest]) -> str:
    where = "In each task the" if len(tested) > 1 else "The"
    return (
        f"{where} best cell of every optimizer is compared with the best cell of all, run by run "
        "with the same seed. A difference holds where a permutation test that flips the signs of "
        f"these pairs has a p-value of at most {LEVEL:g} after Holm's correction over all pairs of "
        "optimizers: so many, as it was seen on the same runs which optimizer is the best."
    )


def _result(contest: Contest) -> str:
    where = f"{contest.group}: " if contest.group else ""
    ahead = [other.optimizer for other in contest.others if other.holds]
    level = [other.optimizer for other in contest.others if not other.holds]
    said = f"{where}{contest.best.label} is the best"
    if ahead:
        said += f", and ahead of {listed(ahead, MOST_NAMED)} by more than the luck of seeds"
    if level:
        also = "not told apart from it" if ahead else "no difference from it holds for"
        names = listed(level, MOST_NAMED)
        said += f"; {names} {_are(level)} {also}" if ahead else f", but {also} {names}"
    return f"{said}.{_turned(contest)}"


def _turned(contest: Contest) -> str:
    """Say who does better than the best where both ran with the same seeds, if anybody does."""
    better = [other.optimizer for other in contest.others if other.behind.estimate < 0]
    if not better:
        return ""
    names = listed(better, MOST_NAMED)
    return (
        f" On the seeds that are compared {names} {_are(better)} better: "
        f"{contest.best.optimizer} leads by its other seeds."
    )


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _seedless(found: Sequence[Contest]) -> list[str]:
    """Say where seeds change nothing, so that the order of the best cells is no luck."""
    same = [contest for contest in found if contest.is_seedless]
    if not same:
        return []
    where = _named([contest.group for contest in same], len(found))
    where = "here" if len(found) == 1 else f"on {where}"
    return [
        f"Seeds change nothing {where} (a test function without noise, or runs that agree in every "
        "value): one run says all there is, and no test is needed or made.",
        *(_order(contest) for contest in same[:MOST_TASKS]),
    ]


def _order(contest: Contest) -> str:
    best = merit(contest.best)
    level = [other.optimizer for other in contest.others if merit(other.cell) == best]
    behind = [other.optimizer for other in contest.others if merit(other.cell) > best]
    said = f"{contest.group}: {contest.best.label}" if contest.group else contest.best.label
    said += f" is the best{f', with {listed(level, MOST_NAMED)}' if level else ''}"
    return f"{said}, ahead of {listed(behind, MOST_NAMED)}." if behind else f"{said}."


def _too_few(seeded: Sequence[Contest], every: int) -> list[str]:
    """Say where no result whatever could have held, each number of seeds and optimizers once."""
    said: dict[str, list[str]] = {}
    for contest in seeded:
        if not contest.can_show:
            said.setdefault(_need(contest), []).append(contest.group)
    if every == 1:
        return [*said]
    return [
        f"{sentence} That is so on {_named(groups, every)}." for sentence, groups in said.items()
    ]


def _named(groups: Sequence[str], every: int) -> str:
    """Return the names of tasks, which may have commas in them."""
    if len(groups) == every:
        return "every task"
    rest = len(groups) - MOST_NAMED
    return "; ".join([*groups[:MOST_NAMED], *([f"{rest} more"] if rest > 0 else [])])


def _need(contest: Contest) -> str:
    optimizers = len(contest.others) + 1
    takes = f"takes at least {plural(contest.pairs_needed, 'seed')}"
    if contest.pairs < 2:
        shared = "one seed" if contest.pairs else "no seed"
        return (
            f"Runs of different optimizers share {shared}: no difference can be tested. To compare "
            f"{optimizers} optimizers it {takes}."
        )
    by = f", times {contest.tests} for as many pairs of optimizers" if contest.tests > 1 else ""
    return (
        f"Too few seeds: {contest.pairs} pairs cannot give a p-value below "
        f"{smallest_p(contest.pairs):.3g}{by}, whatever the runs say. For any difference to hold "
        f"it {takes}."
    )


def _picked(tested: Sequence[Contest]) -> list[str]:
    """Say how far the best cells are flattered by having been picked."""
    said = []
    stale = [contest for contest in tested if contest.choices > 1 and not contest.is_fresh]
    if stale:
        most = max(contest.choices for contest in stale)
        said.append(
            f"Best cells were picked out of up to {most} of an optimizer on the same seeds that "
            "are compared here, so part of their lead is luck (the winner's curse): their means "
            "are flattered, and more so where there was more to pick from. Rerun the best cells on "
            "fresh seeds to know what they are worth."
        )
    if any(contest.choices > 1 and contest.is_fresh for contest in tested):
        said.append(
            "Compared are runs with seeds on which only the best cells ran: nothing was picked "
            "there, and their differences are not flattered."
        )
    return said


def _figures(evidence: Evidence, tested: Sequence[Contest]) -> tuple[Figure, ...]:
    names = file_names("comparisons", [contest.group for contest in tested])
    charts = {c.group: _chart(evidence, names[c.group], c) for c in tested}
    if len(charts) < 2:
        return tuple(charts.values())
    caption = "How far each optimizer is behind the best one of the task."
    return (Views("comparisons_by_task", "Differences", caption, charts, "task"),)


def _chart(evidence: Evidence, name: str, contest: Contest) -> Chart:
    metric = contest.best.metric
    title = f"behind {contest.best.label}"
    turn = "best minus other" if metric == ACCURACY else "other minus best"
    return Chart(
        name,
        f"{contest.group}: {title}" if contest.group else title[0].upper() + title[1:],
        f"Mean difference of the validation {metric} over paired seeds ({turn}), with its 95 % "
        "interval (Student's t, not corrected for the number of optimizers). Beside the name is "
        "the p-value after Holm's correction. Where an interval crosses 0, the luck of seeds may "
        "be all there is; one cross at the edge is an optimizer with a diverged run.",
        Axis(f"validation {metric}, {turn}"),
        Axis("", "names", tuple(_name(other) for other in contest.others)),
        tuple(_point(evidence, place, other) for place, other in enumerate(contest.others)),
        (Mark(0.0, "x"),),
    )


def _name(other: Comparison) -> str:
    return f"{other.optimizer} (p {_p(other.p_holm)})"


def _p(value: float) -> str:
    return "= 1" if value >= 1.0 else f"= {value:.2g}" if value >= 0.001 else "< 0.001"


def _point(evidence: Evidence, place: int, other: Comparison) -> Series:
    return Series(
        "",
        x=np.array([other.behind.estimate]),
        y=np.array([float(place)]),
        left=np.array([other.behind.low]),
        right=np.array([other.behind.high]),
        look=evidence.looks[other.optimizer],
        kind="points",
        texts=(f"{other.cell.label}: {other.behind.estimate:.3g}, {other.pairs} pairs",),
    )


def _table(tested: Sequence[Contest]) -> Table:
    columns, rows = by_task(
        COLUMNS, [(c.group, _row(c, other)) for c in tested for other in c.others]
    )
    return Table(
        "comparisons",
        "Every optimizer against the best",
        "Mean differences are over seeds that both ran with, in the validation metric, with 95 % "
        "intervals (Student's t); positive is worse than the best. The chance to be beaten is "
        "that of a run of this cell by one of the best cell, whatever their seeds (probability of "
        "improvement, Mann-Whitney; Newcombe's score interval). p (Holm) decides what holds; the "
        "other two are of the single test. A diverged run counts as the worst: where a difference "
        "is infinite, tests go by ranks.",
        columns,
        rows,
    )


def _row(contest: Contest, other: Comparison) -> list[Value]:
    behind, beaten = other.behind, other.beaten
    return [
        *(other.optimizer, other.cell.label, contest.best.label, other.pairs),
        *(behind.estimate, behind.low, behind.high),
        *(other.p, other.p_holm, other.p_wilcoxon),
        *(beaten.estimate, beaten.low, beaten.high),
        other.holds,
    ]
