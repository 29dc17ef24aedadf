"""Only what differs: the configurations of the best cells beside one another."""

from collections.abc import Sequence
from typing import Any

from optlab.identity import OUTCOME_FREE, canonical
from optlab.report.cells import Cell, best_by_optimizer, identity
from optlab.report.charts.file_names import file_names
from optlab.report.evidence import Evidence
from optlab.report.page import Column, Section, Table
from optlab.report.phrases import typed
from optlab.report.ranking import UNTOLD
from optlab.report.text import capital

MOST_CELLS = 8  # of a table
ABSENT = "-"  # of an option that a method does not have
MISSING = object()


def differences(evidence: Evidence) -> Section | None:
    """Return the options in which the best cells differ, or None where there is but one cell."""
    groups = {
        group: _chosen(cells) for group, cells in evidence.ranking.groups.items() if len(cells) > 1
    }
    if not groups:
        return None
    tables = [
        _table(evidence, name, group, groups[group])
        for group, name in file_names("differences", groups).items()
    ]
    sentences = (
        "Options in which the best cells differ, those that the sweep named first; a dash is an "
        "option that a method does not have. All other options are the same in all of them.",
    )
    return Section("differences", "What differs", sentences, tables=tuple(tables))


def _chosen(cells: Sequence[Cell]) -> list[Cell]:
    """Return the best cell of each of the best optimizers; of one optimizer, its best cells."""
    best = list(best_by_optimizer(cells).values())
    return (best if len(best) > 1 else list(cells))[:MOST_CELLS]


def _table(evidence: Evidence, name: str, group: str, cells: Sequence[Cell]) -> Table:
    options = [_options(evidence, cell) for cell in cells]
    keys = list(dict.fromkeys(key for own in options for key in own))
    differing = [
        key for key in keys if len({repr(canonical(o.get(key, MISSING))) for o in options}) > 1
    ]
    named = [key for key in evidence.ranking.keys if key in differing]
    ordered = [*named, *(key for key in differing if key not in named)]
    columns = [Column(_title(cell), f"cell_{place}") for place, cell in enumerate(cells, start=1)]
    rows = [
        [key, *(typed(own[key]) if key in own else ABSENT for own in options)] for key in ordered
    ]
    which = "the best cell of each optimizer" if len({c.optimizer for c in cells}) > 1 else "cells"
    return Table(
        name,
        f"{group}: {which}" if group else capital(which),
        "",
        (Column("option", "option"), *columns),
        rows,
    )


def _title(cell: Cell) -> str:
    return f"{cell.rank}. {cell.label}" if cell.rank else cell.label


def _options(evidence: Evidence, cell: Cell) -> dict[str, Any]:
    """Return a cell's configuration, the same in all its runs but for the seed."""
    run, *_ = evidence.runs[identity(cell.key)]
    return {
        key: value
        for key, value in run.options.items()
        if key.partition(".")[0] not in OUTCOME_FREE | UNTOLD
    }
