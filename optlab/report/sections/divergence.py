"""The divergence map: which runs were lost, where in the grid, when, and why."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median

import numpy as np

from optlab.records import RunRecord
from optlab.report.cells import Cell
from optlab.report.charts import Array, Axis, Chart, Figure, Heatmap, Series, Views
from optlab.report.charts.file_names import file_names
from optlab.report.evidence import Evidence
from optlab.report.page import Column, Section, Table, Value
from optlab.report.sections.factor import Factor, factors_of
from optlab.report.text import plural

LOST = ("diverged", "failed")
EPOCHS = "trainer.epochs"
USUAL = ("optimizer", "learning rate")  # factors that are shown where both vary
AT_UPDATE = re.compile(r" at update (\d+)")
MOST_CAUSE = 120  # characters
COLUMNS = (
    Column("cell", "cell"),
    Column("runs", "runs"),
    Column("diverged", "diverged"),
    Column("failed", "failed"),
    Column("lost at update (median)", "lost_at_update"),
    Column("share of epochs by then (median)", "share_of_epochs", 3),
    Column("most frequent cause", "cause"),
)


def divergence(evidence: Evidence) -> Section:
    """Return where and when runs diverged or failed."""
    cells = evidence.ranking.cells
    lost = [cell for cell in cells if _lost(cell)]
    if not lost:
        return Section("divergence", "Divergence", ("No run diverged or failed.",))
    groups = {group: own for group, own in evidence.ranking.groups.items() if any(map(_lost, own))}
    runs = sum(map(_lost, cells)), sum(map(_scored, cells))
    told = f"{runs[0]} of {plural(runs[1], 'run')} diverged or failed, in {len(lost)} of "
    told += f"{plural(len(cells), 'cell')}; each counts as the worst value that there is."
    spared = [group for group in evidence.ranking.groups if group not in groups]
    if spared:
        told += f" None did in {', '.join(spared)}."
    return Section(
        "divergence",
        "Divergence",
        (told, _when(evidence, lost)),
        figures=(*_maps(groups), _survivors(evidence)),
        tables=(_table(evidence, groups),),
    )


def _lost(cell: Cell) -> int:
    return sum(cell.ends[end] for end in LOST)


def _scored(cell: Cell) -> int:
    return cell.runs - cell.ends["interrupted"]


def _when(evidence: Evidence, lost: Sequence[Cell]) -> str:
    runs = [run for cell in lost for run in _lost_runs(evidence, cell)]
    updates = sorted(map(_update, runs))
    causes = Counter(_cause(run) for run in runs)
    listed = "; ".join(f"{cause} ({count})" for cause, count in causes.most_common(3))
    more = len(causes) - 3
    return (
        f"Half of them were lost by update {median(updates):g} of their training, the first at "
        f"{updates[0]}, the last at {updates[-1]}. Causes: {listed}"
        + (f"; and {more} more." if more > 0 else ".")
    )


def _maps(groups: Mapping[str, Sequence[Cell]]) -> list[Figure]:
    """Return the heatmap of each group that has factors, with a choice where there are several."""
    names = file_names("divergence", groups)
    maps = {group: _map(names[group], group, cells) for group, cells in groups.items()}
    found = {group: each for group, each in maps.items() if each is not None}
    if len(found) < 2:
        return list(found.values())
    caption = "Tasks in which no run was lost are left out."
    return [Views("divergence_by_task", "Where runs were lost", caption, found, "task")]


def _map(name: str, group: str, cells: Sequence[Cell]) -> Heatmap | None:
    factors = _two_factors(cells)
    if factors is None:
        return None
    rows, columns = factors
    shape = (len(rows.levels), len(columns.levels))
    lost, scored = np.zeros(shape), np.zeros(shape)
    np.add.at(lost, (rows.codes, columns.codes), list(map(_lost, cells)))
    np.add.at(scored, (rows.codes, columns.codes), list(map(_scored, cells)))
    title = f"Runs lost by {rows.title} and {columns.title}"
    return Heatmap(
        name,
        f"{group}: {title}" if group else title,
        "Share of runs that diverged or failed, over all else that varied; in each place their "
        "number of how many. Empty where none was run.",
        Axis(columns.title, "names", columns.levels),
        Axis(rows.title, "names", rows.levels),
        np.divide(lost, scored, out=np.full(shape, np.nan), where=scored > 0),
        tuple(
            tuple(f"{a:g}/{b:g}" if b else "" for a, b in zip(*pair, strict=True))
            for pair in zip(lost, scored, strict=True)
        ),
        "share of runs lost",
    )


def _two_factors(cells: Sequence[Cell]) -> tuple[Factor, Factor] | None:
    """Return optimizer and learning rate, or else the two that tell most of which runs are lost."""
    factors = {factor.title: factor for factor in factors_of(cells)}
    usual = [factors[title] for title in USUAL if title in factors]
    rest = [factor for title, factor in factors.items() if title not in USUAL]
    shares = np.array([_lost(cell) / max(_scored(cell), 1) for cell in cells])
    rest.sort(key=lambda factor: _explained(factor, shares), reverse=True)
    chosen = [*usual, *rest][:2]
    return (chosen[0], chosen[1]) if len(chosen) == 2 else None


def _explained(factor: Factor, shares: Array) -> float:
    """Return the variance of the mean shares of a factor's levels."""
    counts = np.bincount(factor.codes)
    means = np.bincount(factor.codes, shares) / np.maximum(counts, 1)
    return float(np.average((means - shares.mean()) ** 2, weights=counts))


def _survivors(evidence: Evidence) -> Chart:
    """Return how many runs of each optimizer are left as training goes on."""
    runs: dict[str, list[RunRecord]] = {}
    for cell in evidence.ranking.cells:
        runs.setdefault(cell.optimizer, []).extend(evidence.of(cell))
    ends = {name: np.sort(_ends(own)) for name, own in runs.items() if own}
    series = tuple(
        _steps(evidence, name, own, len(runs[name])) for name, own in ends.items() if len(own)
    )
    return Chart(
        "runs_left",
        "Runs left during training",
        "Share of an optimizer's runs, at all its settings, that are not lost yet. An optimizer "
        "without a line lost none.",
        Axis("share of the epochs", ends=(0.0, 1.0)),
        Axis("share of runs left", ends=(0.0, 1.02)),
        series,
    )


def _ends(runs: Sequence[RunRecord]) -> Array:
    """Return when runs were lost, as shares of the epochs that they were to have."""
    lost = [run for run in runs if run.result.status in LOST]
    return np.array([_share(run) for run in lost], dtype=float)


def _steps(evidence: Evidence, name: str, ends: Array, count: int) -> Series:
    x = np.concatenate([[0.0], ends, [1.0]])
    left = 1 - np.arange(len(ends) + 1) / count
    y = np.append(left, left[-1])
    return Series(name, x, y, look=replace(evidence.looks[name], marker=""), kind="steps")


def _table(evidence: Evidence, groups: Mapping[str, Sequence[Cell]]) -> Table:
    several = len(evidence.ranking.groups) > 1
    rows = [
        [*([group] if several else []), *_row(evidence, cell)]
        for group, cells in groups.items()
        for cell in sorted(cells, key=lambda cell: -_lost(cell) / max(_scored(cell), 1))
        if _lost(cell)
    ]
    task = [Column("task", "task")] if several else []
    return Table(
        "divergence",
        "Cells that lost runs",
        "Those that lost most first. The update is when the loss became nan or infinite, or when "
        "the error came.",
        (*task, *COLUMNS),
        rows,
        most=12,
    )


def _row(evidence: Evidence, cell: Cell) -> list[Value]:
    runs = _lost_runs(evidence, cell)
    cause, _ = Counter(map(_cause, runs)).most_common(1)[0]
    when = median(map(_update, runs)), median(map(_share, runs))
    return [cell.label, _scored(cell), *(cell.ends[end] for end in LOST), *when, cause]


def _lost_runs(evidence: Evidence, cell: Cell) -> list[RunRecord]:
    return [run for run in evidence.of(cell) if run.result.status in LOST]


def _update(run: RunRecord) -> int:
    named = AT_UPDATE.search(run.result.cause or "")
    return int(named[1]) if named else run.result.updates


def _share(run: RunRecord) -> float:
    """Return the share of its epochs that a run was through when it was lost.

    It is noticed at the next record of the loss, up to `trainer.log_every` updates later.
    """
    epochs = run.options.get(EPOCHS)
    if not isinstance(epochs, int | float) or epochs <= 0:
        return math.nan
    then = min(_update(run) / run.result.updates, 1.0) if run.result.updates else 1.0
    return min(then * run.result.epochs / epochs, 1.0)


def _cause(run: RunRecord) -> str:
    """Return why a run was lost, without when."""
    words = AT_UPDATE.sub("", run.result.cause or "no cause was recorded").splitlines()
    return words[0][:MOST_CAUSE] if words else "no cause was recorded"
