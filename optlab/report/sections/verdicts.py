"""What went wrong inside runs: verdicts by cell and by optimizer."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from optlab.report.cells import Cell, identity, occurring
from optlab.report.charts import Axis, Heatmap
from optlab.report.evidence import Evidence
from optlab.report.page import Column, Section, Table, Value
from optlab.report.text import plural
from optlab.results import Verdict

MOST_ROWS = 12


def verdicts(evidence: Evidence) -> Section:
    """Return the share of runs that have each verdict, with a sentence of the most severe one."""
    cells = evidence.ranking.cells
    names = occurring(cells)
    judged = sum(bool(run.result.verdicts) for runs in evidence.runs.values() for run in runs)
    runs = sum(cell.runs for cell in cells)
    if not names:
        said = "No run ended with a verdict: no rule found a fault in what diagnostics looked at."
        return Section("verdicts", "Verdicts", (said,))
    sentences = (
        f"{judged} of {plural(runs, 'run')} ended with a verdict on what went wrong inside. A "
        "verdict is a rule on what diagnostics measured, with a threshold: severity is how many "
        "times the measured value lies beyond it. A run whose diagnostics looked at little has "
        "fewer verdicts, not better ones.",
    )
    figures = (_by_optimizer(evidence, names),) if len(evidence.looks) > 1 else ()
    return Section("verdicts", "Verdicts", sentences, figures, _tables(evidence))


def _by_optimizer(evidence: Evidence, names: Sequence[str]) -> Heatmap:
    optimizers = list(evidence.looks)
    counts, runs = np.zeros((len(optimizers), len(names)), dtype=int), np.zeros(len(optimizers))
    for cell in evidence.ranking.cells:
        place = optimizers.index(cell.optimizer)
        counts[place] += [round(cell.verdicts.get(name, 0.0) * cell.runs) for name in names]
        runs[place] += cell.runs
    return Heatmap(
        "verdicts_by_optimizer",
        "Verdicts by optimizer",
        "Share of an optimizer's runs, at all its settings, that ended with each verdict; in each "
        "place the number of runs.",
        Axis("", "names", tuple(name.replace("_", " ") for name in names)),
        Axis("", "names", tuple(optimizers)),
        counts / runs[:, None],
        tuple(
            tuple(f"{count}/{of:g}" if count else "" for count in own)
            for own, of in zip(counts, runs, strict=True)
        ),
        "share of runs",
    )


def _tables(evidence: Evidence) -> tuple[Table, Table]:
    """Return what was said most severely of each verdict, and all of them by cell."""
    several = len(evidence.ranking.groups) > 1
    task = [Column("task", "task")] if several else []
    columns = (
        *task,
        Column("rank", "rank"),
        Column("cell", "cell"),
        Column("verdict", "verdict"),
        Column("runs with it", "runs_with_it"),
        Column("runs", "runs"),
        Column("highest severity", "severity", 3),
        Column("said of that run", "sentence", is_shown=False),
    )
    rows = [
        [*([group] if several else []), *row]
        for group, cells in evidence.ranking.groups.items()
        for cell in cells
        for row in _rows(evidence, cell)
    ]
    caption = (
        "In the order of the ranking; the files have what was said of the run of each cell where "
        "it is most severe."
    )
    by_cell = Table("verdicts", "Verdicts by cell", caption, columns, rows, most=MOST_ROWS)
    return _said(by_cell), by_cell


def _said(by_cell: Table) -> Table:
    """Return the row of each verdict that is most severe, the verdicts in order."""
    places = {column.key: place for place, column in enumerate(by_cell.columns)}
    keys = ("verdict", *(["task"] if "task" in places else []), "cell", "sentence")
    worst: dict[Value, Sequence[Value]] = {}
    for row in sorted(by_cell.rows, key=lambda row: _number(row[places["severity"]]), reverse=True):
        worst.setdefault(row[places["verdict"]], row)
    return Table(
        "verdicts_said",
        "What was said",
        "Of the run where each verdict is most severe.",
        tuple(replace(by_cell.columns[places[key]], is_shown=True) for key in keys),
        [[worst[name][places[key]] for key in keys] for name in sorted(worst, key=str)],
    )


def _number(value: Value) -> float:
    return value if isinstance(value, float) else -math.inf


def _rows(evidence: Evidence, cell: Cell) -> list[list[Value]]:
    worst = _worst(evidence, cell)
    return [
        [
            cell.rank or None,
            cell.label,
            name.replace("_", " "),
            round(share * cell.runs),
            cell.runs,
            worst[name].severity,
            worst[name].sentence,
        ]
        for name, share in cell.verdicts.items()
    ]


def _worst(evidence: Evidence, cell: Cell) -> Mapping[str, Verdict]:
    """Return the most severe verdict of each name in a cell."""
    found: dict[str, Verdict] = {}
    for run in evidence.runs[identity(cell.key)]:
        for verdict in run.result.verdicts:
            if verdict.name not in found or verdict.severity > found[verdict.name].severity:
                found[verdict.name] = verdict
    return found
