"""The identity of a run: what of its configuration can change its result. No torch here."""

import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

#: Top-level keys that are no part of a run's identity: where its output goes and how the rest was
#: composed. ``device`` is among them because every random number is the same on every device:
#: another one rounds differently, but makes no other run, and a sweep may be resumed on another
#: machine. The result says which device it was.
OUTCOME_FREE = frozenset({"checkpoint_s", "defaults", "device", "hydra", "logger", "sweep"})


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
        canonical(kept), sort_keys=True, separators=(",", ":"), allow_nan=False, default=str
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


def canonical(value: Any) -> Any:
    """Return a value of a configuration in the one form of all that mean the same."""
    if isinstance(value, Mapping):
        return {str(key): canonical(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [canonical(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
