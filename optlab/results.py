"""Records of finished runs: what a run folder says, the identity of a run, and reading it all back.

A run folder holds ``config.yaml`` (the resolved configuration) and, once the run has ended in
whatever way, ``result.json``. Both are whole or absent: they are written beside their place and
moved into it. This module imports no torch.
"""

import dataclasses
import hashlib
import json
import math
import os
import uuid
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import yaml  # type: ignore[import-untyped]

from optlab.config import ConfigError

RESULT_FILE = "result.json"
CONFIG_FILE = "config.yaml"

Status = Literal["done", "diverged", "failed", "interrupted"]

#: Top-level keys that are no part of a run's identity: where its output goes and how the rest was
#: composed. ``device`` is among them because every random number is the same on every device:
#: another one rounds differently, but makes no other run, and a sweep may be resumed on another
#: machine. The result says which device it was.
OUTCOME_FREE = frozenset({"defaults", "device", "hydra", "logger", "sweep"})


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
        config_hash: Identity of the run, from `config_hash`.
        seed: The run's seed; None when the configuration held no valid one.
        device: Name of the device in words.
        execution: How updates were made, which decides the last bits of a result: ``"compiled"``,
            ``"eager: why"``, or the class of a foreign optimizer; empty when none was made.
        versions: Versions of the packages that computed it.
        commit: Commit of optlab's working tree, where there is one.
        dirty: Whether that tree had uncommitted changes.
        started: Start, UTC, ISO 8601.
        notes: What loading the data measured: labels flipped, zero fraction, rows left out.
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
    config_hash: str
    seed: int | None
    device: str
    execution: str = ""
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    commit: str | None = None
    dirty: bool | None = None
    started: str
    notes: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """A run as its folder tells it.

    Attributes:
        config: The resolved configuration.
        result: How the run ended.
        folder: The run folder.
    """

    config: Mapping[str, Any]
    result: RunResult
    folder: Path

    @cached_property
    def options(self) -> dict[str, Any]:
        """The configuration as one flat mapping with dotted keys."""
        return flatten(self.config)


def write_atomic(path: str | Path, content: bytes) -> None:
    """Write a file whole or not at all; what stood at ``path`` stays until the new file is safe.

    Raises:
        OSError: When the disk is full or the folder cannot be written; ``path`` is unchanged.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: str | Path, payload: Any) -> None:
    """Write ``payload`` as JSON, atomically.

    JSON has no nan or infinity: they are written as the texts "nan", "inf" and "-inf", which
    ``float`` reads back.
    """
    write_atomic(path, _json_text(payload).encode())


def write_result(folder: str | Path, result: RunResult) -> None:
    """Write ``result.json`` into a run folder."""
    write_atomic(Path(folder) / RESULT_FILE, result_text(result).encode())


def result_text(result: RunResult) -> str:
    """Return what ``result.json`` says; `result_from_text` reads it back."""
    return _json_text(dataclasses.asdict(result))


def result_from_text(text: str | bytes) -> RunResult:
    """Return the result of which `result_text` made the text.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: When it is damaged or of another form.
    """
    return _result_from(json.loads(text))


def read_result(folder: str | Path) -> RunResult:
    """Read ``result.json`` of a run folder.

    Raises:
        ConfigError: When the file is missing, damaged or of another form.
    """
    path = Path(folder) / RESULT_FILE
    try:
        return result_from_text(path.read_bytes())
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _unreadable(path, error) from error


def config_hash(config: Mapping[str, Any], leave_out: Collection[str] = OUTCOME_FREE) -> str:
    """Return the identity of a run: 12 hexadecimal digits of its resolved configuration's SHA-256.

    Equal for configurations that mean the same: the order of keys does not count, nor whether a
    number was written ``1``, ``1.0`` or ``1e0``.

    Args:
        config: The resolved configuration.
        leave_out: Top-level keys that do not count.
    """
    kept = {key: value for key, value in config.items() if key not in leave_out}
    text = json.dumps(
        _canonical(kept), sort_keys=True, separators=(",", ":"), allow_nan=False, default=str
    )
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def cell_hash(config: Mapping[str, Any]) -> str:
    """Return the identity of a cell: equal for runs that differ in nothing but their seed."""
    return config_hash(config, OUTCOME_FREE | {"seed"})


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested configuration as ``{"optimizer.lr": 0.001, ...}``; lists stay whole."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def collect(folder: str | Path) -> list[RunRecord]:
    """Read every ended run at or below ``folder``, in order of path.

    A damaged record is an error and is not passed over: a comparison without some of its runs
    would look complete.

    Raises:
        ConfigError: Naming the folder that does not exist or the file that cannot be read.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ConfigError(f"no folder {str(root)!r}: give the folder of a run or of a sweep")
    folders = sorted(path.parent for path in root.rglob(RESULT_FILE))
    return [RunRecord(_read_config(run), read_result(run), run) for run in folders]


def varying(records: Sequence[RunRecord]) -> list[str]:
    """Return the dotted configuration keys in which runs differ, sorted.

    Left out are the sections of `OUTCOME_FREE` and every key that follows from the name beside or
    above it: among runs of Adam and of RMSprop at their defaults, ``optimizer.name`` says it all.
    """
    keys = differing([record.options for record in records])
    return [key for key in keys if key.split(".")[0] not in OUTCOME_FREE]


def differing(tables: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys in which flat configurations differ, sorted, each name for all it implies."""
    keys = {key for table in tables for key in table}
    tokens = {key: [_token(table, key) for table in tables] for key in keys}
    several = {key for key in keys if len(set(tokens[key])) > 1}
    return sorted(key for key in several if not _follows_from_name(key, tokens))


def _follows_from_name(key: str, tokens: Mapping[str, Sequence[str]]) -> bool:
    """Say whether some ``name`` at the level of ``key`` or above fixes its value."""
    parts = key.split(".")
    names = [".".join([*parts[:depth], "name"]) for depth in range(1, len(parts))]
    for name in names:
        if name in tokens and name != key:
            pairs = set(zip(tokens[name], tokens[key], strict=True))
            if len(pairs) == len({of_name for of_name, _ in pairs}):
                return True
    return False


def _token(table: Mapping[str, Any], key: str) -> str:
    return json.dumps(_canonical(table[key]), default=str) if key in table else "absent"


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _canonical(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_canonical(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _json_text(payload: Any) -> str:
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
    return RunResult(**{**payload, **numbers, **splits})


def _read_config(folder: Path) -> Mapping[str, Any]:
    path = folder / CONFIG_FILE
    try:
        config = yaml.load(path.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, yaml.YAMLError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(config, Mapping):
        raise _unreadable(path, TypeError("it holds no mapping"))
    return config


def _unreadable(path: Path, error: Exception) -> ConfigError:
    return ConfigError(
        f"cannot read {str(path)!r} ({type(error).__name__}: {error}); "
        "move that run folder away, or delete it and run it again"
    )
