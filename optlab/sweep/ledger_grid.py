"""Which runs belong to a sweep's ledger: entering them, and refusing those of another sweep."""

import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optlab.config import ConfigError
from optlab.identity import OUTCOME_FREE, cell_hash, flatten
from optlab.records import differing
from optlab.sweep.ledger_file import contents
from optlab.sweep.planned import PlannedRun
from optlab.sweep.refusal import FolderTakenError
from optlab.sweep.run_folder import (
    LEDGER_FILE,
    Grid,
    another_grid,
    finished_result,
    noted_grid,
)

#: What else can be done with another grid than to choose another folder.
REMEDY = "add its runs with --extend, or "

#: How many differences between two configurations a message names.
FEW = 3


def refuse_doubles(runs: Sequence[PlannedRun]) -> None:
    """Refuse a sweep in which two runs are one, or would lie in one folder.

    Raises:
        ConfigError: Naming the two.
    """
    same: dict[str, PlannedRun] = {}
    beside: dict[Path, PlannedRun] = {}
    for run in runs:
        if (other := same.setdefault(run.identity, run)) is not run:
            raise ConfigError(
                f"runs {other.number} and {run.number} of the sweep have the same configuration "
                f"({_words(other)} and {_words(run)}); give each value once"
            )
        if (other := beside.setdefault(run.folder, run)) is not run:
            raise ConfigError(
                f"runs {other.number} and {run.number} of the sweep ({_words(other)} and "
                f"{_words(run)}) would have the same folder {run.folder}; let hydra.sweep.subdir "
                "follow what varies, or leave it out"
            )


def refuse_entry(folder: Path, runs: Sequence[PlannedRun], grid: Grid, extend: bool) -> None:
    """Refuse runs for which a ledger in a folder without one would be made in vain.

    Raises:
        FolderTakenError: When the folder belongs to another grid, or a run's folder to another run.
    """
    noted = noted_grid(folder)
    if noted not in (None, grid) and not extend:
        raise another_grid(folder, noted, grid, REMEDY)
    for run in runs:
        finished_result(run.folder, run.identity)


def refuse_other_sweep(
    connection: sqlite3.Connection, folder: Path, runs: Sequence[PlannedRun], grid: Grid
) -> None:
    """Refuse runs of another sweep than the one that the folder belongs to.

    Raises:
        FolderTakenError: When the grid is another one, or has runs that were not entered.
    """
    grids = _grids(connection, folder)
    if grids and grid not in grids:
        raise another_grid(folder, grids[0], grid, REMEDY)
    known = _known(connection)
    new = [run for run in runs if run.identity not in known]
    if known and new:
        raise FolderTakenError(
            f"{folder} holds a sweep of {len(known)} runs, and {len(new)} of this line's "
            f"{len(runs)} are not among them, the first {_words(new[0])}; add them with "
            "--extend, or choose another sweep.dir"
        )


def add_runs(
    connection: sqlite3.Connection,
    folder: Path,
    runs: Sequence[PlannedRun],
    grid: Grid,
    line: Sequence[str],
) -> None:
    """Enter the runs that are not known yet; to be called inside a transaction.

    Raises:
        FolderTakenError: When the folder of one of them is another run's.
    """
    known = _known(connection)
    new = [run for run in runs if run.identity not in known]
    if not new and grid in _grids(connection, folder):
        return
    cursor = connection.execute(
        "INSERT INTO lines (grid, words) VALUES (?, ?)",
        (json.dumps(grid._asdict()), json.dumps(list(line))),
    )
    places = [os.path.relpath(run.folder, folder) for run in new]
    _refuse_taken(connection, folder, dict(zip(places, new, strict=True)))
    connection.executemany(
        "INSERT INTO runs (number, folder, identity, cell, line, overrides, config, chosen) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (number, place, run.identity, cell_hash(run.config), cursor.lastrowid, *_texts(run))
            for number, (place, run) in enumerate(zip(places, new, strict=True), len(known))
        ],
    )


def _grids(connection: sqlite3.Connection, folder: Path) -> list[Grid]:
    """Return the grids of the folder's sweep, or the one of a sweep without a ledger."""
    rows = connection.execute("SELECT grid FROM lines ORDER BY line").fetchall()
    if rows:
        with contents(folder / LEDGER_FILE):
            entered = [json.loads(grid) for (grid,) in rows]
            return [Grid(tuple(grid["varied"]), tuple(grid["held"])) for grid in entered]
    noted = noted_grid(folder)
    return [] if noted is None else [noted]


def _known(connection: sqlite3.Connection) -> set[str]:
    return {identity for (identity,) in connection.execute("SELECT identity FROM runs")}


def _refuse_taken(
    connection: sqlite3.Connection, folder: Path, wanted: Mapping[str, PlannedRun]
) -> None:
    """Refuse folders that other runs have, so that no record is written over."""
    for place, config in connection.execute("SELECT folder, config FROM runs"):
        if place in wanted:
            differences = _differences(json.loads(config), wanted[place].config)
            raise FolderTakenError(
                f"{folder / place} is the folder of another run of this sweep ({differences}); "
                "sweep over what differs in one line, or choose another sweep.dir"
            )


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Say in what two configurations differ: ``optimizer.lr=0.1 there, 0.2 here``."""
    there, here = flatten(found), flatten(wanted)
    keys = [k for k in differing([there, here]) if k.split(".")[0] not in OUTCOME_FREE]
    listed = [f"{key}={there.get(key)} there, {here.get(key)} here" for key in keys[:FEW]]
    more = [f"{len(keys) - FEW} more"] if len(keys) > FEW else []
    return "; ".join([*listed, *more])


def _words(run: PlannedRun) -> str:
    return " ".join(run.overrides) or run.name


def _texts(run: PlannedRun) -> tuple[str, str, str]:
    """Return overrides, configuration and chosen sections as the ledger keeps them."""
    return json.dumps(run.overrides), json.dumps(run.config), json.dumps(sorted(run.chosen))
