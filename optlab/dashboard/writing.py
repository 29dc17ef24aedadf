"""Writing the dashboards: one event file in a sweep's folder, and one for each cell."""

import contextlib
import os
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from tensorboard.compat.proto.summary_pb2 import Summary

from optlab.dashboard.cell_curves import curves, encoded, tags_of
from optlab.dashboard.cell_runs import CellRun
from optlab.dashboard.chosen import chosen, most_cells, names
from optlab.dashboard.dashboard import CELLS, OWN_FILE
from optlab.dashboard.experiment import experiment_value
from optlab.dashboard.layout import layout_value
from optlab.loggers import event_file
from optlab.records import RunRecord, survey
from optlab.report.cells import Ranking, identity
from optlab.report.evidence import Evidence
from optlab.report.ranking import by_cell, rank
from optlab.results import named, write_atomic

LEFT_S = 60.0  # after which nobody is still writing a file
APART_S = 1e-3  # between the first records of cells, which are listed in order of time


def write_dashboards(root: Path, name: str) -> None:
    """Write the dashboards of the runs below a folder, if any was to have an event file.

    Args:
        root: The folder.
        name: Of its event file, which is written last.

    Raises:
        OSError: When they cannot be written.
        ConfigError: When the runs' tables cannot be read.
    """
    found = survey(root)
    records = found.records
    if all(run.options.get("logger.tensorboard") is False for run in records):
        return
    ranking, now = rank(records), time.time()
    shown = chosen(ranking, most_cells(len(found.shown)))
    layout = _written_cells(root / CELLS, records, ranking, shown)
    values = event_file.values_record([experiment_value(ranking, records, now), layout])
    write_atomic(root / name, event_file.opening(now) + values)
    _remove_left(root, now)
    for earlier in root.glob(f"{OWN_FILE}.*"):
        if earlier.name != name:
            earlier.unlink()


def _written_cells(
    folder: Path, records: Sequence[RunRecord], ranking: Ranking, shown: Ranking
) -> Summary.Value:
    """Write the event files of the cells that are shown, and return the layout of their charts."""
    members = by_cell(records, ranking.keys)
    start = min(datetime.fromisoformat(run.result.started).timestamp() for run in records)
    runs = [
        CellRun(name, cell, members[identity(cell.key)], ranking.keys, start + place * APART_S)
        for place, (cell, name) in enumerate(names(shown, ranking))
    ]
    evidence = Evidence([record for run in runs for record in run.runs], shown)
    drawn = list(curves(evidence, runs))
    records_of = encoded(drawn)
    files = {
        run.name: run.first_records() + records_of.get(number, b"") + run.last_records()
        for number, run in enumerate(runs)
    }
    _require_own(folder)
    with named(folder):
        _replace(folder, files)
    return layout_value({(curve.axis, curve.tag) for curve in drawn}, tags_of(ranking))


def _replace(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write event files by their folders below one, which takes the place of what was there."""
    new = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.tmp")
    old = new.with_suffix(".old")
    try:
        for name, content in files.items():
            (new / name).mkdir(parents=True)
            (new / name / OWN_FILE).write_bytes(content)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _remove_left(root: Path, now: float) -> None:
    """Remove what processes that were killed left half done: TensorBoard would show it."""
    for pattern in (f".{CELLS}.*.tmp", f".{CELLS}.*.old", f".{OWN_FILE}.*.tmp"):
        for path in root.glob(pattern):
            with contextlib.suppress(FileNotFoundError):  # another process removes it, too
                if now - path.stat().st_mtime < LEFT_S:
                    continue
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _require_own(folder: Path) -> None:
    """Refuse to replace files of others."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is no folder of a dashboard: move it away")
    for place, _, files in os.walk(folder):
        if others := [name for name in files if name != OWN_FILE]:
            raise FileExistsError(
                f"{os.path.join(place, others[0])} is no file of a dashboard: move it away"
            )
