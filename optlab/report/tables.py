"""The two tables of a report: its whole content, so that it can be drawn again without its runs.

``report.csv`` has a row per cell, ``curves.csv`` a row per epoch of each curve that is shown.
Numbers keep all their digits, configuration values their types, and what is not defined is empty.
"""

import csv
import io
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from optlab.config import ConfigError
from optlab.report.cells import (
    ACCURACY,
    ENDS,
    LOSS,
    Cell,
    Estimate,
    Ranking,
    arranged,
    best_by_optimizer,
    labels,
    occurring,
)
from optlab.report.measures.curves import Band, Curves
from optlab.report.page import Table, is_empty
from optlab.results import write_atomic

METRIC = "metric"  # a column of its own, and in headings, where groups are ranked differently
RANKING_FILE, CURVES_FILE = "report.csv", "curves.csv"
VERDICT = "verdict_"  # of the columns with shares of a cell's runs, the last ones
PARTS = ("mean", "std", "low", "high", "iqm")  # of an estimate; older tables lack the last
CURVE_COLUMNS = ["group", "optimizer", "cell", "epoch", "mean", "low", "high"]


def write_ranking(path: str | Path, ranking: Ranking) -> None:
    """Write a row per cell."""
    metrics = set(ranking.metrics.values())
    common = metrics.pop() if len(metrics) == 1 else METRIC
    verdicts = occurring(ranking.cells)
    header = ["rank", *ranking.keys, *_columns(common), *(f"{VERDICT}{name}" for name in verdicts)]
    shares = [[_text(cell.verdicts.get(name, 0.0)) for name in verdicts] for cell in ranking.cells]
    rows = [_row(cell, common) for cell in ranking.cells]
    _write(path, [header, *([*row, *own] for row, own in zip(rows, shares, strict=True))])


def read_ranking(path: str | Path) -> Ranking:
    """Read what `write_ranking` wrote.

    Raises:
        ConfigError: When the table is missing or damaged.
    """
    with _reading(path) as (whole, lines):
        verdicts = [name.removeprefix(VERDICT) for name in whole if name.startswith(VERDICT)]
        header = whole[: len(whole) - len(verdicts)]
        rows = [line[: len(header)] for line in lines]
        shares = [
            dict(zip(verdicts, map(float, line[len(header) :]), strict=True)) for line in lines
        ]
        common = next((m for m in (ACCURACY, LOSS, METRIC) if f"val_{m}_mean" in header), LOSS)
        parts = PARTS if f"val_{common}_iqm" in header else PARTS[:-1]
        columns = _columns(common, parts)
        names = header[1 : -len(columns)]
        if header != ["rank", *names, *columns] or not rows:
            raise ValueError("it has not the columns of a ranking, or no row")
        keys = [dict(zip(names, map(_decoded, row[1:]), strict=False)) for row in rows]
        own = [row[1 + len(names)] if common == METRIC else common for row in rows]
        numbers = [[row[0], *row[header.index("runs", 1 + len(names)) :]] for row in rows]
        cells = [
            replace(
                _cell(key, metric, label, row, parts), verdicts={n: s for n, s in of.items() if s}
            )
            for key, metric, label, row, of in zip(
                keys, own, labels(keys, own), numbers, shares, strict=True
            )
        ]
        return arranged(names, cells)


def write_curves(path: str | Path, ranking: Ranking, curves: Curves) -> None:
    """Write a row per epoch of each curve."""
    rows: list[Sequence[object]] = [CURVE_COLUMNS]
    for (group, optimizer), curve in curves.items():
        label = best_by_optimizer(ranking.groups[group])[optimizer].label
        points = np.stack([curve.x, curve.mean, curve.low, curve.high], axis=1)
        rows += [[group, optimizer, label, *map(_text, point)] for point in points.tolist()]
    _write(path, rows)


def read_curves(path: str | Path, ranking: Ranking) -> Curves:
    """Read what `write_curves` wrote.

    Raises:
        ConfigError: When the table is missing, damaged or belongs to another ranking.
    """
    best = {
        (group, optimizer): cell.label
        for group, cells in ranking.groups.items()
        for optimizer, cell in best_by_optimizer(cells).items()
    }
    points: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    with _reading(path) as (header, rows):
        if header != CURVE_COLUMNS:
            raise ValueError(f"its columns are not {', '.join(CURVE_COLUMNS)}")
        for group, optimizer, label, *point in rows:
            if best.get((group, optimizer)) != label:
                raise ValueError(f"{label!r} is no best cell of the ranking beside it")
            points[group, optimizer].append([float(value) for value in point])
        return {place: Band(*np.array(curve).T) for place, curve in points.items()}


def write_tables(folder: str | Path, tables: Iterable[Table]) -> list[Path]:
    """Write the tables of a report's sections, each as CSV and as parquet."""
    written = []
    for table in tables:
        written += [Path(folder) / f"{table.name}.{suffix}" for suffix in ("csv", "parquet")]
        header = [column.key for column in table.columns]
        rows = [["" if is_empty(value) else value for value in row] for row in table.rows]
        _write(Path(folder) / f"{table.name}.csv", [header, *rows])
        columns = {key: [row[i] for row in table.rows] for i, key in enumerate(header)}
        content = io.BytesIO()
        pl.DataFrame(columns, strict=False).write_parquet(content)
        write_atomic(Path(folder) / f"{table.name}.parquet", content.getvalue())
    return written


def _columns(metric: str, parts: Sequence[str] = PARTS) -> list[str]:
    estimates = [f"{split}_{metric}_{part}" for split in ("val", "test") for part in parts]
    own = [METRIC] if metric == METRIC else []
    return [*own, "runs", *ENDS, *estimates, "best_val_loss", "final_val_loss"]


def _row(cell: Cell, common: str) -> list[object]:
    own = [cell.metric] if common == METRIC else []
    counts = [cell.runs, *(cell.ends[end] for end in ENDS)]
    numbers = [getattr(split, part) for split in (cell.val, cell.test) for part in PARTS]
    numbers += [cell.best_loss, cell.final_loss]
    return [cell.rank, *map(_encoded, cell.key.values()), *own, *counts, *map(_text, numbers)]


def _cell(
    key: dict[str, Any], metric: str, label: str, row: Sequence[str], parts: Sequence[str]
) -> Cell:
    if metric not in (ACCURACY, LOSS):
        raise ValueError(f"{metric!r} is no metric")
    rank, runs, *ends = (int(text) for text in row[: 2 + len(ENDS)])
    numbers = [float(text or "nan") for text in row[2 + len(ENDS) :]]
    of_val, of_test = numbers[: len(parts)], numbers[len(parts) : 2 * len(parts)]
    val, test = Estimate(*of_val), Estimate(*of_test)
    best_loss, final_loss = numbers[2 * len(parts) :]
    counts = dict(zip(ENDS, ends, strict=True))
    return Cell(rank, key, metric, label, runs, counts, val, test, best_loss, final_loss)


def _text(number: float) -> str:
    return "" if math.isnan(number) else repr(number)


def _encoded(value: Any) -> str:
    """Return a configuration value as JSON, a text that could be nothing else as it is."""
    if value is None:
        return ""
    if isinstance(value, str) and value.isprintable() and _decoded(value) is value:
        return value
    return json.dumps(value, default=str)


def _decoded(text: str) -> Any:
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def _write(path: str | Path, rows: Iterable[Sequence[object]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_atomic(path, text.getvalue().encode())


@contextmanager
def _reading(path: str | Path) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Give header and rows of a table; whatever is wrong with it becomes one error."""
    try:
        lines = list(csv.reader(io.StringIO(Path(path).read_bytes().decode(), newline="")))
        if not lines:
            raise ValueError("it is empty")
        header, *rows = lines
        if any(len(row) != len(header) for row in rows):
            raise ValueError("a row is shorter or longer than the header")
        yield header, rows
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(
            f"cannot read {str(path)!r} ({error}); a report without runs needs "
            f"{RANKING_FILE} and {CURVES_FILE} as they were written: restore both, or report "
            "the folder of the runs"
        ) from error
