"""Records of finished runs: what a run folder says, the identity of a run, and reading it back.

A run folder holds ``config.yaml`` (the resolved configuration) and, once the run has ended in
whatever way, ``result.json``. Both are whole or absent: they are written beside their place and
moved into it. This module imports no torch.
"""

import contextlib
import dataclasses
import errno
import json
import math
import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from optlab.config import ConfigError

RESULT_FILE = "result.json"
CONFIG_FILE = "config.yaml"

Status = Literal["done", "diverged", "failed", "interrupted"]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What went wrong inside a run, in a sentence with numbers.

    Attributes:
        name: What it is, such as ``"vanishing_gradient"``; a run has at most one of a name.
        subject: Where: a layer, an activation, a gate; empty where it is the whole run.
        sentence: What was measured, what it means and what to try.
        severity: How far the measured value lies beyond its threshold, as a factor of at least 1.
        since: Update from which on it was seen.
    """

    name: str
    subject: str
    sentence: str
    severity: float
    since: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunResult:
    """How one run ended.

    Attributes:
        name: Name of the run, for people.
        status: ``"done"``; ``"diverged"`` (a loss became nan or infinite), which is a
            result; ``"failed"`` (an error); ``"interrupted"`` (by a signal or a key).
        cause: Why it ended before its last epoch, such as "loss became nan at update 37".
        updates: Parameter updates made.
        epochs: Passes over the training rows, fractional.
        best_epoch: Epoch of the lowest validation loss.
        train, val, test: Loss and metrics by name, at the weights that the run ends with. A run
            that did not get so far has fewer entries or none.
        total_s: Seconds from start to end.
        training_s: Seconds in updates, without loading, evaluating and logging. Of both times, runs
            that trained together have equal shares.
        shared_by: Runs that trained together with it, itself included; 1 where its times are its
            own, None where nobody noted it.
        row_gradients: Gradients of rows that were computed: rows of every batch, as often as the
            gradient of a batch was; None where nobody noted it.
        config_hash: Identity of the run, from `config_hash`.
        seed: The run's seed; None when the configuration held no valid one.
        device: Name of the device in words.
        execution: How updates were made, which decides the last bits of a result: ``"compiled"``,
            ``"eager: why"``, or the class of a foreign optimizer; empty when none was made.
        versions: Versions of the packages that computed it.
        commit: Commit of optlab's working tree, where there is one.
        dirty: Whether that tree had uncommitted changes.
        platform: Operating system and processor architecture.
        threads: Of torch inside one operation.
        flags: Settings that can change the bits of a result, from `optlab.environment.flags`.
        started: Start, UTC, ISO 8601.
        notes: What loading the data measured: labels flipped, zero fraction, rows left out.
        verdicts: What went wrong inside the run, the most severe first.
    """

    name: str
    status: Status
    cause: str | None = None
    updates: int
    epochs: float
    best_epoch: float | None = None
    train: dict[str, float]
    val: dict[str, float]
    test: dict[str, float]
    total_s: float
    training_s: float
    shared_by: int | None = None
    row_gradients: int | None = None
    config_hash: str
    seed: int | None
    device: str
    execution: str = ""
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    commit: str | None = None
    dirty: bool | None = None
    platform: str = ""
    threads: int | None = None
    flags: dict[str, str] = dataclasses.field(default_factory=dict)
    started: str
    notes: dict[str, float] = dataclasses.field(default_factory=dict)
    verdicts: list[Verdict] = dataclasses.field(default_factory=list)


def last_values(result: RunResult) -> dict[str, float]:
    """Return what is recorded of a run at its end, by tag: test scores and verdicts' severities."""
    tested = {f"{name}/test": value for name, value in result.test.items()}
    return tested | {f"verdict/{v.name}": v.severity for v in result.verdicts}


def write_atomic(path: str | Path, content: bytes | memoryview) -> None:
    """Write a file whole or not at all; what stood at ``path`` stays until the new file is safe.

    On return a power cut takes neither the content nor the name.

    Raises:
        OSError: When the disk is full or the folder cannot be written; ``path`` is unchanged.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    with named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """Let an `OSError` name the file that could not be written; a failed write alone does not."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        del error.filename2  # the other name of a rename
        raise


def _sync_folder(folder: Path) -> None:
    """Wait until the folder's entries are on the disk, where the system can be asked for that."""
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that cannot
            raise
    finally:
        os.close(descriptor)


def write_json(path: str | Path, payload: Any) -> None:
    """Write ``payload`` as JSON, atomically.

    JSON has no nan or infinity: they are written as the texts "nan", "inf" and "-inf", which
    ``float`` reads back.
    """
    write_atomic(path, json_text(payload).encode())


def write_result(folder: str | Path, result: RunResult) -> None:
    """Write ``result.json`` into a run folder."""
    write_atomic(Path(folder) / RESULT_FILE, result_text(result).encode())


def result_text(result: RunResult) -> str:
    """Return what ``result.json`` says; `result_from_text` reads it back."""
    return json_text(dataclasses.asdict(result))


def result_from_text(text: str | bytes) -> RunResult:
    """Return the result of which `result_text` made the text.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: When it is damaged or of another form.
    """
    try:
        return _result_from(json.loads(text))
    except RecursionError:
        raise ValueError("it has too many sections in one another") from None


def read_result(folder: str | Path) -> RunResult:
    """Read ``result.json`` of a run folder.

    Raises:
        ConfigError: When the file is missing, damaged or of another form.
    """
    path = Path(folder) / RESULT_FILE
    try:
        return result_from_text(path.read_bytes())
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise unreadable(path, error) from error


def json_text(payload: Any) -> str:
    """Return ``payload`` as JSON, with nan and infinities as `write_json` has them."""
    return json.dumps(_finite(payload), indent=2, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """Return ``value`` with nan and infinities as texts."""
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _result_from(payload: Any) -> RunResult:
    numbers = {key: float(payload[key]) for key in ("epochs", "total_s", "training_s")}
    splits = {
        split: {name: float(value) for name, value in payload[split].items()}
        for split in ("train", "val", "test")
    }
    if payload["status"] not in get_args(Status):
        raise ValueError(f"unknown status {payload['status']!r}")
    verdicts = [
        Verdict(**{**verdict, "severity": float(verdict["severity"])})
        for verdict in payload.get("verdicts", [])  # records of before have none
    ]
    return RunResult(**{**payload, **numbers, **splits, "verdicts": verdicts})


def unreadable(path: Path, error: Exception) -> ConfigError:
    """Build the error for a record that cannot be read."""
    return ConfigError(
        f"cannot read {str(path)!r} ({type(error).__name__}: {error}); "
        "move that run folder away, or delete it and run it again"
    )
