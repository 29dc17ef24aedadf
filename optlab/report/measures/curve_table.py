"""The curves of all cells as one table, for whoever draws them elsewhere."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from optlab.records import RunRecord
from optlab.report.evidence import Evidence
from optlab.report.measures.curves import Rows, band
from optlab.report.measures.effort import Unit, per_update
from optlab.report.sections.curve_charts import quantities
from optlab.results import write_atomic

TABLE_FILE = "curves.parquet"

#: Columns that say what a cell's runs had done at a point, and the units that they are in.
PLACES: dict[str, Unit] = {
    "epoch": "epochs",
    "row_gradients": "row gradients",
    "seconds": "seconds",
}


def write_curve_table(folder: str | Path, evidence: Evidence) -> Path:
    """Write the curves of all cells, validation and training, as ``curves.parquet``.

    Raises:
        OSError: When it cannot be written.
    """
    known = [quantities(metric) for metric in evidence.ranking.metrics.values()]
    tags = dict.fromkeys(quantity.tag for own in known for quantity in own)
    content = io.BytesIO()
    curve_table(evidence, list(tags)).write_parquet(content)
    path = Path(folder) / TABLE_FILE
    write_atomic(path, content.getvalue())
    return path


def curve_table(evidence: Evidence, tags: Sequence[str]) -> pl.DataFrame:
    """Return the curves of all cells under some tags, a row per point.

    Returns:
        ``group``, ``cell``, ``tag``; ``update``, and what the cell's runs had done by then on
        average: ``epoch``, ``row_gradients``, ``seconds`` (null where that is not known); ``mean``,
        ``low``, ``high`` over ``runs`` runs.
    """
    parts = [
        _part(evidence, group, place, tag, rows)
        for tag in tags
        for rows in [evidence.rows(tag)]
        for group, cells in evidence.ranking.groups.items()
        for place in range(len(cells))
    ]
    columns = ("group", "cell", "tag", "update", *PLACES, "mean", "low", "high", "runs")
    kept = [part.select(columns) for part in parts if part is not None]
    return pl.concat(kept) if kept else pl.DataFrame(schema=dict.fromkeys(columns, pl.Null))


def _part(evidence: Evidence, group: str, place: int, tag: str, rows: Rows) -> pl.DataFrame | None:
    cell = evidence.ranking.groups[group][place]
    runs = evidence.of(cell)
    curve = band(runs, tag, rows, "updates")
    if curve is None:
        return None
    costs = {name: _mean_cost(runs, unit) for name, unit in PLACES.items()}
    points = {"update": curve.x, "mean": curve.mean, "low": curve.low, "high": curve.high}
    said = {"group": group, "cell": cell.label, "tag": tag, "runs": curve.runs}
    return pl.DataFrame(points).with_columns(
        *(pl.lit(value).alias(name) for name, value in said.items()),
        *(
            (pl.col("update") * pl.lit(cost, pl.Float64)).alias(name)
            for name, cost in costs.items()
        ),
    )


def _mean_cost(runs: Sequence[RunRecord], unit: Unit) -> float | None:
    costs = [per_update(run, unit) for run in runs if run.result.updates]
    return float(np.mean(costs)) if costs and not any(map(math.isnan, costs)) else None
