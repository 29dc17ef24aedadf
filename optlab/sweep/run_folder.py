"""A run's folder on disk: who may write into it, and what lies there before and after."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock
import yaml  # type: ignore[import-untyped]

from optlab.results import CONFIG_FILE, RESULT_FILE, RunResult, read_result, write_atomic
from optlab.sweep.refusal import FolderTakenError

LOCK_FILE = ".lock"

HEADER = """\
# Resolved configuration of one optlab run. The same run again, or with changes:
#   optlab train PATH/config.yaml [optimizer.lr=0.1 ...]
"""

#: Makes the resolved file a primary configuration that also knows where output goes.
PRIMARY = {"defaults": ["folders", "_self_"], "hydra": {"searchpath": ["pkg://optlab.configs"]}}


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
    text = yaml.safe_dump({**PRIMARY, **config}, sort_keys=False)
    write_atomic(folder / CONFIG_FILE, (HEADER + text).encode())


def remove_unused(folder: Path) -> None:
    """Remove the folder of a run that did not come to be, where nothing else lies in it."""
    if {path.name for path in folder.iterdir()} <= {LOCK_FILE}:
        (folder / LOCK_FILE).unlink(missing_ok=True)
        folder.rmdir()
