"""Every logged value of a run as one parquet table, and reading the tables of runs and sweeps.

Long format, one row per value: 200 runs are read in a twentieth of a second, where their
TensorBoard files take half a minute.
"""

import io
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from optlab.config import ConfigError
from optlab.loggers.base import LostRecords, Position
from optlab.results import RunResult, write_atomic

METRICS_FILE = "metrics.parquet"  # in a run's folder
METRICS_FOLDER = "metrics"  # in a sweep's; see optlab.loggers.sweep_table

SCHEMA = {
    "update": pl.Int64,  # updates made
    "epoch": pl.Float64,  # passes over the training rows
    "seconds": pl.Float64,  # since the logger was made
    "tag": pl.String,  # as in optlab.loggers.base
    "value": pl.Float64,
}

#: Of the parts of a sweep's table.
SWEEP_SCHEMA: dict[str, type[pl.DataType] | pl.DataType] = {
    "run": pl.String,  # name of the run's folder
    **SCHEMA,
    "started": pl.Datetime("us", "UTC"),  # when this attempt at the run began; the last one counts
}


class MetricsTable:
    """Keeps rows in memory and writes ``metrics.parquet`` into the run's folder on `close`.

    `flush` writes early. It writes the whole table, so call it at checkpoints, not at records.

    Args:
        folder: The run's folder.
        since: What `position` returned in an earlier process: its rows up to there come first.

    Raises:
        LostRecords: When they are not there any more.
    """

    def __init__(self, folder: str | Path, since: Position | None = None) -> None:
        self._path = Path(folder) / METRICS_FILE
        self._records: list[tuple[int, float, float, dict[str, float]]] = []
        self._before = pl.DataFrame(schema=SCHEMA)
        self._start = time.perf_counter()
        self._closed = False
        if since is not None:
            self._before = _first_rows(self._path, since["rows"])
            self._start -= since["seconds"]

    def log(self, update: int, epoch: float, values: Mapping[str, float]) -> None:
        """Keep the values as rows of ``update``."""
        seconds = time.perf_counter() - self._start
        self._records.append((update, epoch, seconds, dict(values)))

    def text(self, tag: str, markdown: str) -> None:
        """Keep nothing: the table holds numbers."""

    def finish(self, result: RunResult) -> None:
        """Keep nothing: the result has its own file."""

    def position(self) -> Position:
        """Write the table as it stands, and return how far it is."""
        seconds = time.perf_counter() - self._start
        return {"rows": self.flush(), "seconds": seconds}

    def flush(self) -> int:
        """Write the table as it stands, atomically, and return the number of its rows."""
        rows = [
            (update, epoch, seconds, tag, value)
            for update, epoch, seconds, values in self._records
            for tag, value in values.items()
        ]
        content = io.BytesIO()
        table = self._before.vstack(pl.DataFrame(rows, schema=SCHEMA, orient="row"))
        table.write_parquet(content)
        write_atomic(self._path, content.getvalue())
        return len(table)

    def close(self) -> None:
        """Write the table, once."""
        if not self._closed:
            self._closed = True
            self.flush()


def _first_rows(path: Path, count: int) -> pl.DataFrame:
    """Return the rows that a table had when it was shorter."""
    try:
        table = pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise LostRecords(f"{path} cannot be read ({error})") from error
    if len(table) < count or dict(table.schema) != SCHEMA:
        raise LostRecords(f"{path} has {len(table)} rows of {count}")
    return table.head(count)


def read_metrics(folders: Iterable[str | Path], tags: Sequence[str]) -> pl.DataFrame:
    """Read some tags of many runs at once.

    Args:
        folders: Run folders. One without a table of its own is looked up in that of the sweep in
            whose folder it lies; those in neither contribute nothing.
        tags: The tags to keep.

    Returns:
        The rows, with the run folder as a text in the additional column ``folder``.

    Raises:
        ConfigError: When a table cannot be read.
    """
    own: list[Path] = []
    of_sweeps: dict[Path, dict[str, str]] = {}  # folders by name, by sweep
    for folder in map(Path, folders):
        if (folder / METRICS_FILE).is_file():
            own.append(folder / METRICS_FILE)
        else:
            place = folder.absolute()  # "." has no name
            of_sweeps.setdefault(place.parent, {})[place.name] = str(folder)
    tables = [_of_runs(own, tags)]
    tables += [_of_sweep(sweep, names, tags) for sweep, names in of_sweeps.items()]
    return pl.concat(tables)


def _of_runs(paths: Sequence[Path], tags: Sequence[str]) -> pl.DataFrame:
    """Read the tables of single runs."""
    rows = _scan(paths, SCHEMA, include_file_paths="folder").filter(pl.col("tag").is_in(tags))
    advice = "delete the damaged run folder and run it again"
    folder = pl.col("folder").str.strip_suffix("/" + METRICS_FILE)
    return _collect(rows, f"{len(paths)} runs", paths, advice).with_columns(folder)


def _of_sweep(sweep: Path, names: Mapping[str, str], tags: Sequence[str]) -> pl.DataFrame:
    """Read the last attempts at some runs from the table of their sweep."""
    paths = sorted((sweep / METRICS_FOLDER).glob("*.parquet"))
    rows = _scan(paths, SWEEP_SCHEMA).filter(pl.col("run").is_in(list(names)))
    last = rows.group_by("run").agg(pl.col("started").max())
    wanted = rows.filter(pl.col("tag").is_in(tags)).join(last, ["run", "started"], "semi")
    advice = "move the damaged file away: its curves are lost, the results of its runs are not"
    found = _collect(wanted, f"the sweep {str(sweep)!r}", paths, advice)
    folder = pl.col("run").replace_strict(names, return_dtype=pl.String)
    return found.select(*SCHEMA, folder.alias("folder"))


def _scan(
    paths: Sequence[Path], schema: Mapping[str, Any], include_file_paths: str | None = None
) -> pl.LazyFrame:
    if not paths:
        extra = {include_file_paths: pl.String} if include_file_paths else {}
        return pl.LazyFrame(schema={**schema, **extra})
    # Folders are named by overrides, such as "hidden=[64,32],lr=0.1": no pattern, no column.
    return pl.scan_parquet(
        list(paths), glob=False, hive_partitioning=False, include_file_paths=include_file_paths
    )


def _collect(rows: pl.LazyFrame, whose: str, paths: Sequence[Path], advice: str) -> pl.DataFrame:
    try:
        return rows.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ConfigError(
            f"cannot read the metrics of {whose}, from {str(paths[0])!r} on ({error}); {advice}"
        ) from error
