"""A run's folder on disk: who may write into it, and what lies there before and after."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import filelock
import yaml  # type: ignore[import-untyped]

from optlab.results import CONFIG_FILE, RESULT_FILE, RunResult, read_result, write_atomic
from optlab.sections import to_yaml
from optlab.sweep.refusal import FolderTakenError

LOCK_FILE = ".lock"
CHECKPOINTS = "checkpoints"  # folder in a run's folder or a sweep's
GRID_FILE = "grid.yaml"
LEDGER_FILE = "ledger.sqlite"

HEADER = """\
# Resolved configuration of one optlab run. The same run again, or with changes:
#   optlab train PATH/config.yaml [optimizer.lr=0.1 ...]
"""

#: Makes the resolved file a primary configuration that also knows where output goes.
PRIMARY = {"defaults": ["folders", "_self_"], "hydra": {"searchpath": ["pkg://optlab.configs"]}}


class Grid(NamedTuple):
    """What a sweep varies, in the order that names its folders, and what it holds fixed."""

    varied: tuple[str, ...]
    held: tuple[str, ...]


def claim_for_grid(folder: Path, grid: Grid) -> None:
    """Note in a sweep's folder which grid it belongs to; more values of the same keys may follow.

    For sweeps without a ledger, which are Hydra's own.

    Raises:
        FolderTakenError: When the folder belongs to another grid: its runs would have the same
            names, or names that do not tell them apart. Also when it has a ledger, which would
            not learn of these runs.
    """
    if (folder / LEDGER_FILE).exists():
        raise FolderTakenError(
            f"{folder} holds a sweep with a ledger: continue it with `optlab sweep`, or choose "
            "another sweep.dir"
        )
    found = noted_grid(folder)
    if found is None:
        wanted = {key: list(values) for key, values in grid._asdict().items()}
        write_atomic(folder / GRID_FILE, yaml.safe_dump(wanted, sort_keys=False).encode())
    elif found != grid:
        raise another_grid(folder, found, grid)


def noted_grid(folder: Path) -> Grid | None:
    """Return the grid that `claim_for_grid` noted in the folder, if it did."""
    path = folder / GRID_FILE
    if not path.exists():
        return None
    found = yaml.safe_load(path.read_bytes())
    return Grid(tuple(found["varied"]), tuple(found["held"]))


def another_grid(folder: Path, found: Grid, wanted: Grid, remedy: str = "") -> FolderTakenError:
    """Build the error for a folder that holds the sweep of another grid.

    Args:
        folder: The sweep's folder.
        found: The grid that it belongs to.
        wanted: The grid of the sweep that was to go there.
        remedy: What else can be done than to choose another folder.
    """
    return FolderTakenError(
        f"{folder} holds a sweep that varies {_listing(found.varied)} and holds "
        f"{_listing(found.held)}, this one varies {_listing(wanted.varied)} and holds "
        f"{_listing(wanted.held)}; {remedy}choose another sweep.dir"
    )


def _listing(words: Iterable[str]) -> str:
    return ", ".join(words) or "nothing else"


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other processes out of the folder; a lock of a killed process holds nobody up.

    Raises:
        FolderTakenError: When another process is inside.
    """
    lock = filelock.FileLock(folder / LOCK_FILE, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise FolderTakenError(
            f"another process is training in {folder}; wait for it, or choose another "
            "sweep.dir or hydra.run.dir"
        ) from None
    try:
        yield
    finally:
        lock.release()  # the file stays: unlinking it would let two processes in


def finished_result(folder: Path, identity: str) -> RunResult | None:
    """Return the result of this very run if it came to an end of its own, else None.

    Raises:
        FolderTakenError: When the folder holds the result of another configuration.
    """
    if not (folder / RESULT_FILE).exists():
        return None
    result = read_result(folder)
    if result.config_hash != identity:
        raise FolderTakenError(
            f"{folder} already holds a run of another configuration "
            f"({result.config_hash}, not {identity}); choose another sweep.dir or "
            "hydra.run.dir, or remove that folder"
        )
    return result if result.status in ("done", "diverged") else None


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write ``config.yaml``, from which the run can be started again."""
    write_atomic(folder / CONFIG_FILE, config_text(config).encode())


def config_text(config: Mapping[str, Any]) -> str:
    """Return what ``config.yaml`` says."""
    return HEADER + to_yaml({**PRIMARY, **config})


def remove_unused(folder: Path) -> None:
    """Remove the folder of a run that did not come to be, where nothing else lies in it.

    Of the folders above it only the usual one goes, and that only if it is empty.
    """
    if {path.name for path in folder.iterdir()} <= {LOCK_FILE}:
        (folder / LOCK_FILE).unlink(missing_ok=True)
        folder.rmdir()
        if folder.parent.name == "runs":
            with contextlib.suppress(OSError):
                folder.parent.rmdir()
