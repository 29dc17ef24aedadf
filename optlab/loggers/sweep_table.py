"""Every logged value of a sweep's runs as one table in the sweep's folder, readable at any time.

The table is a folder of parquet files, its parts. A part is written once, whole or not at all, and
never changed, so processes may add parts side by side and a reader needs no lock:

    polars.scan_parquet("SWEEP/metrics/*.parquet")

A run that was killed and begun again has the rows of both attempts, told apart by the column
``started``; only the last one counts, and `optlab.loggers.table.read_metrics` reads no other.
"""

import hashlib
import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import filelock
import numpy as np
import polars as pl

from optlab.loggers.base import LostRecords, Position
from optlab.loggers.buffer import Records
from optlab.loggers.table import METRICS_FOLDER, SWEEP_SCHEMA
from optlab.results import write_atomic

#: Parts of a table, and bytes of one made of several: runs that train one by one leave one each.
MOST_PARTS, PART_BYTES = 100, 2**24
STAMP, LOCK_FILE = "%Y%m%dT%H%M%S.%f", ".lock"


class SweepTable:
    """Adds parts to the table of a sweep, for an attempt at some of its runs that begins now.

    Args:
        folder: The sweep's folder.
        names: Names of the runs: those of their folders in the sweep's.
        since: What `position` returned in an earlier process: the attempt goes on from there, and
            the parts that it wrote after that are removed.

    Raises:
        LostRecords: When parts from before are not there any more.
    """

    _latest: ClassVar[dict[Path, datetime]] = {}  # when attempts of this process began

    def __init__(
        self, folder: str | Path, names: Sequence[str], since: Position | None = None
    ) -> None:
        self._names = pl.Series(names, dtype=pl.String)
        self._folder = Path(folder) / METRICS_FOLDER
        self._started = self._begun()
        self._parts: dict[str, int] = {}
        if since is not None:
            self._started = datetime.fromisoformat(since["started"])
            self._parts |= since["parts"]
        who = hashlib.blake2b("\n".join(names).encode(), digest_size=4).hexdigest()
        self._stem = f"{self._started:{STAMP}}-{who}"
        self._parts.setdefault(self._stem, 0)
        if since is not None:
            self._cut()

    def position(self) -> Position:
        """Return how far the attempt has written."""
        return {"started": self._started.isoformat(), "parts": dict(self._parts)}

    def _begun(self) -> datetime:
        """Return the time, but after all attempts that are there: the last one counts.

        A clock may have been set back since. The folder is looked at once in a process.
        """
        latest = self._latest.get(self._folder)
        if latest is None:
            seconds = [path.stat().st_mtime for path in self._folder.glob("*.parquet")]
            latest = datetime.fromtimestamp(max(seconds, default=0.0), UTC)
        self._latest[self._folder] = max(datetime.now(UTC), latest + timedelta(microseconds=1))
        return self._latest[self._folder]

    def _cut(self) -> None:
        """Remove the parts after those that count.

        Runs that stopped together may go on apart, so each of these attempts has a stem of its own,
        and parts may hold rows of runs that have ended.
        """
        kept = {
            self._part(stem, number)
            for stem, count in self._parts.items()
            for number in range(count)
        }
        with filelock.FileLock(self._folder / LOCK_FILE):
            found = set(self._folder.glob("*.parquet"))
            if kept - found:
                raise LostRecords(f"{min(kept - found)} is gone")
            for path in found - kept:
                if path.name >= f"{self._started:{STAMP}}":
                    self._leave_out(path)

    def _leave_out(self, path: Path) -> None:
        """Take the rows of this attempt's runs out of a part."""
        is_own = pl.col("run").is_in(self._names.implode())
        try:
            rows = pl.read_parquet(path, glob=False, hive_partitioning=False)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise LostRecords(f"{path} cannot be read ({error})") from error
        left = rows.filter(~is_own)
        if len(left) == len(rows):
            return
        if not len(left):
            path.unlink()
            return
        content = io.BytesIO()
        left.write_parquet(content)
        write_atomic(path, content.getvalue())

    def _part(self, stem: str, number: int) -> Path:
        return self._folder / f"{stem}-{number:05}.parquet"

    def write(self, records: Sequence[Records]) -> None:
        """Write records as one part.

        Raises:
            OSError: When it cannot be written; nothing of it is there then.
        """
        content = io.BytesIO()
        self._rows(records).write_parquet(content)
        write_atomic(self._part(self._stem, self._parts[self._stem]), content.getvalue())
        self._parts[self._stem] += 1

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


def merge_parts(folder: str | Path) -> None:
    """Make few parts of many in the table of a sweep that no process trains any more.

    Whoever ends it halfway leaves some rows twice, and none is lost.

    Raises:
        OSError: When a part cannot be written; all that were there still are.
    """
    parts = sorted((Path(folder) / METRICS_FOLDER).glob("*.parquet"))
    if len(parts) <= MOST_PARTS:
        return
    for first, *others in _batches(parts):
        try:
            rows = pl.read_parquet([first, *others], glob=False, hive_partitioning=False)
        except pl.exceptions.PolarsError:
            continue  # one is damaged; whoever reads the table is told which
        content = io.BytesIO()
        rows.write_parquet(content)
        write_atomic(first, content.getvalue())
        for path in others:
            path.unlink()


def _batches(parts: Sequence[Path]) -> list[list[Path]]:
    """Return the parts in groups that one part can hold, in order."""
    groups: list[list[Path]] = []
    room = 0
    for path in parts:
        size = path.stat().st_size
        if size > room:
            groups.append([])
            room = PART_BYTES
        groups[-1].append(path)
        room -= size
    return groups


def _per_value(records: Sequence[Records], name: str) -> np.ndarray:
    """Return a column of records with an entry for each value."""
    return np.concatenate([np.repeat(getattr(own, name), len(own.tags)) for own in records])
