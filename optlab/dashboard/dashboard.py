"""Whether the dashboards of a folder are there and of its runs, and writing them where not.

Of which runs they are stands in the name of the event file at the top, so a look at the folder is
enough: what makes them takes a second to import.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from optlab.config import ConfigError
from optlab.results import CONFIG_FILE, RESULT_FILE
from optlab.saying import warn
from optlab.sweep.run_folder import GRID_FILE, LEDGER_FILE

CELLS = "cells"  # folder of the cells' event files

#: Event files that are no run's; TensorBoard reads every file with the first part in its name.
OWN_FILE = "events.out.tfevents.0000000000.000000000.dashboard"


def write(folder: str | Path) -> None:
    """Write the dashboards of a sweep, in place of earlier ones.

    Nothing is written into a run's folder, nor where no run has ended or none was to have an event
    file. Nor into a folder above sweeps, which have their own: of several tables TensorBoard takes
    the columns of any.

    Raises:
        OSError: When they cannot be written; `refresh` mends what is half done.
        ConfigError: When the runs' tables cannot be read.
    """
    from optlab.dashboard.writing import write_dashboards

    root = Path(folder)
    is_run = any((root / name).exists() for name in (RESULT_FILE, CONFIG_FILE))
    if not is_run and not _sweeps_below(root):
        write_dashboards(root, _file_name(root))


def refresh(folder: str | Path) -> None:
    """Write the dashboards at or below a folder that are missing, or of other runs.

    Raises:
        OSError, ConfigError: As `write`.
    """
    for root in _sweeps_below(Path(folder)) or [Path(folder)]:
        if not (root / _file_name(root)).exists():
            write(root)


def keep_current(folder: str | Path) -> None:
    """Do what `refresh` does, or say why not: the runs can be looked at in any case."""
    try:
        refresh(folder)
    except (OSError, ConfigError) as error:
        warn(f"TensorBoard shows no cells of {folder}: {error}")


def _file_name(root: Path) -> str:
    """Return the name of the event file at the top."""
    digest = hashlib.sha256()
    for path in sorted(_results(root)):
        state = path.stat()
        about = f"{path.relative_to(root)} {state.st_size} {state.st_mtime_ns}\n"
        digest.update(about.encode(errors="surrogateescape"))
    return f"{OWN_FILE}.{digest.hexdigest()[:12]}"


def _results(root: Path) -> Iterator[Path]:
    for place, _, files in os.walk(root):
        if RESULT_FILE in files:
            yield Path(place, RESULT_FILE)


def _sweeps_below(root: Path) -> list[Path]:
    """Return the sweeps in a folder that is none itself."""
    found: list[Path] = []
    for place, folders, files in os.walk(root):
        folders.sort()
        if {LEDGER_FILE, GRID_FILE} & set(files):
            found.append(Path(place))
            folders.clear()
    return [] if found == [root] else found
