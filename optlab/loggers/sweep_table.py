"""Every logged value of a sweep's runs as one table in the sweep's folder, readable at any time.

The table is a folder of parquet files, its parts. A part is written once, whole or not at all, and
never changed, so processes may add parts side by side and a reader needs no lock:

    polars.scan_parquet("SWEEP/metrics/*.parquet")

A run that was killed and begun again has the rows of both attempts, told apart by the column
``started``; only the last one counts, and `optlab.loggers.table.read_metrics` reads no other.
"""

import io
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from optlab.loggers.buffer import Records
from optlab.loggers.table import METRICS_FOLDER, SWEEP_SCHEMA
from optlab.results import write_atomic


class SweepTable:
    """Adds parts to the table of a sweep, for an attempt at some of its runs that begins now.

    Args:
        folder: The sweep's folder.
        names: Names of the runs: those of their folders in the sweep's.
    """

    def __init__(self, folder: str | Path, names: Sequence[str]) -> None:
        self._names = pl.Series(names, dtype=pl.String)
        self._started = datetime.now(UTC)
        own = f"{self._started:%Y%m%dT%H%M%S.%f}-{uuid.uuid4().hex[:8]}"
        self._stem, self._num_parts = Path(folder) / METRICS_FOLDER / own, 0

    def write(self, records: Sequence[Records]) -> None:
        """Write records as one part.

        Raises:
            OSError: When it cannot be written; nothing of it is there then.
        """
        content = io.BytesIO()
        self._rows(records).write_parquet(content)
        path = self._stem.with_name(f"{self._stem.name}-{self._num_parts:05}.parquet")
        write_atomic(path, content.getvalue())
        self._num_parts += 1

    def _rows(self, records: Sequence[Records]) -> pl.DataFrame:
        """Return one row per value."""
        tags = list(dict.fromkeys(tag for own in records for tag in own.tags))
        number = {tag: i for i, tag in enumerate(tags)}
        of_records = [np.tile([number[tag] for tag in own.tags], len(own.runs)) for own in records]
        columns = {
            "run": self._names.gather(_per_value(records, "runs")),
            "update": _per_value(records, "updates"),
            "epoch": _per_value(records, "epochs"),
            "seconds": _per_value(records, "times") - self._started.timestamp(),
            "tag": pl.Series(tags).gather(np.concatenate(of_records)),
            "value": np.concatenate([own.values.ravel() for own in records]),
        }
        started = pl.lit(self._started, SWEEP_SCHEMA["started"])
        return pl.DataFrame(columns).with_columns(started=started)


def _per_value(records: Sequence[Records], name: str) -> np.ndarray:
    """Return a column of records with an entry for each value."""
    return np.concatenate([np.repeat(getattr(own, name), len(own.tags)) for own in records])
