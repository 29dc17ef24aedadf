"""All that the sections of a report are made of: what records say, read once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import polars as pl

from optlab.loggers.table import read_metrics
from optlab.records import RunRecord, SweepRecord
from optlab.report.cells import Cell, Ranking, best_by_optimizer, identity, sets_apart
from optlab.report.charts.styles import REST, Style, styles
from optlab.report.phrases import phrases
from optlab.report.ranking import by_cell


@dataclass(frozen=True, eq=False)
class Evidence:
    """Runs of one or several folders.

    Attributes:
        records: Ended runs, also those found twice.
        ranking: Their cells, the best first in each group of comparable ones.
        sweeps: The sweeps that the folders hold, of those with a ledger.
    """

    records: Sequence[RunRecord]
    ranking: Ranking
    sweeps: Sequence[SweepRecord] = ()
    _tables: dict[str, pl.DataFrame] = field(default_factory=dict)

    @cached_property
    def runs(self) -> Mapping[str, Sequence[RunRecord]]:
        """The runs of each cell by the `identity` of its key, each run once, by seed."""
        found = by_cell(self.records, self.ranking.keys)
        return {
            name: sorted(runs, key=lambda run: run.result.seed or 0) for name, runs in found.items()
        }

    @cached_property
    def looks(self) -> Mapping[str, Style]:
        """How each optimizer looks, the same in every figure."""
        groups = (self.ranking.ranked or self.ranking.groups).values()
        looks = styles(name for cells in groups for name in best_by_optimizer(cells))
        return {cell.optimizer: looks.get(cell.optimizer, REST) for cell in self.ranking.cells}

    def of(self, cell: Cell) -> Sequence[RunRecord]:
        """Return the runs of a cell, by seed; interrupted ones say nothing and are left out."""
        runs = self.runs[identity(cell.key)]
        return [run for run in runs if run.result.status != "interrupted"]

    def rows(self, tag: str) -> Mapping[Path, pl.DataFrame]:
        """Return what was recorded under a tag, by run folder: ``update``, ``epoch``, ``value``.

        Rows are in order of update; a run without a record under the tag has no entry.

        Raises:
            ConfigError: When a table cannot be read.
        """
        return {Path(str(n)): rows for (n,), rows in self._table(tag).group_by("folder")}

    @cached_property
    def methods(self) -> Mapping[str, Mapping[str, Cell]]:
        """The cells by method and by group: a method is what may be used on every task."""
        names = [
            name
            for name in self.ranking.keys
            if not any(sets_apart(name, metric) for metric in self.ranking.metrics.values())
        ]
        found: dict[str, dict[str, Cell]] = {}
        for group, cells in self.ranking.groups.items():
            for cell in cells:
                name = ", ".join(phrases(cell.key, names)) or cell.label
                found.setdefault(name, {}).setdefault(group, cell)  # the best of several
        return found

    def _table(self, tag: str) -> pl.DataFrame:
        if tag not in self._tables:
            folders = list(dict.fromkeys(record.folder for record in self.records))
            rows = read_metrics(folders, [tag]).select("folder", "update", "epoch", "value")
            self._tables[tag] = rows.sort("update", maintain_order=True)
        return self._tables[tag]
