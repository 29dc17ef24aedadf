"""What lies below a folder of runs: records of those that ended, and all that is none.

A record that cannot be read is named and never passed over in silence: a comparison without some of
its runs would look complete. This module imports no torch.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from optlab.config import ConfigError
from optlab.identity import OUTCOME_FREE, canonical, flatten
from optlab.results import CONFIG_FILE, RESULT_FILE, RunResult, read_result, unreadable
from optlab.sections import from_yaml


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Survey:
    """Every run folder at or below a folder, in order of path.

    Attributes:
        records: Runs that ended, in whatever way.
        damaged: Run folders whose record cannot be read, and why.
        unfinished: Run folders with a configuration and no result: in training now, or killed.
        shown: Folders of ended runs with an event file, which TensorBoard shows.
    """

    records: list[RunRecord]
    damaged: dict[Path, ConfigError]
    unfinished: list[Path]
    shown: list[Path]


@dataclass(frozen=True)
class Missing:
    """A run of a sweep that has no result.

    Attributes:
        config: Its resolved configuration.
        state: Why: ``"queued"``, ``"running"``, ``"failed"`` or ``"killed"``.
        folder: Where its result will be.
    """

    config: Mapping[str, Any]
    state: str
    folder: Path


@dataclass(frozen=True)
class SweepRecord:
    """A sweep as its ledger tells it.

    Attributes:
        folder: The sweep's folder.
        lines: What was typed after ``optlab sweep``, in words, for each of its grids.
        missing: Its runs without a result.
        order: Folders of all its runs as its grids list them: of a search, trial after trial.
    """

    folder: Path
    lines: tuple[tuple[str, ...], ...]
    missing: tuple[Missing, ...]
    order: tuple[Path, ...] = ()


def survey(folder: str | Path) -> Survey:
    """Look at every run at or below ``folder``.

    Raises:
        ConfigError: When the folder does not exist.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ConfigError(f"no folder {str(root)!r}: give the folder of a run or of a sweep")
    found = Survey([], {}, [], [])
    for place, folders, files in os.walk(root):
        folders.sort()
        if RESULT_FILE in files:
            _read(Path(place), found)
            if any("tfevents" in name for name in files):
                found.shown.append(Path(place))
        elif CONFIG_FILE in files:
            found.unfinished.append(Path(place))
    return found


def collect(folder: str | Path) -> list[RunRecord]:
    """Read every ended run at or below ``folder``, in order of path.

    Raises:
        ConfigError: Naming the folder that does not exist or the file that cannot be read.
    """
    found = survey(folder)
    for error in found.damaged.values():
        raise error
    return found.records


def varying(records: Sequence[RunRecord]) -> list[str]:
    """Return the dotted configuration keys in which runs differ, sorted.

    Left out are the sections of `OUTCOME_FREE` and every key that follows from the name beside or
    above it: among runs of Adam and of RMSprop at their defaults, ``optimizer.name`` says it all.
    """
    sections = {name for record in records for name in record.config} - OUTCOME_FREE
    keys: list[str] = []
    for name in sections:
        own = [{name: r.config[name]} if name in r.config else {} for r in records]
        tables = {repr(table): table for table in own}
        keys += differing([flatten(table) for table in tables.values()])
    return sorted(keys)


def differing(tables: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys in which flat configurations differ, sorted, each name for all it implies."""
    keys = {key for table in tables for key in table}
    tokens = {key: [_token(table, key) for table in tables] for key in keys}
    several = {key for key in keys if len(set(tokens[key])) > 1}
    return sorted(key for key in several if not _follows_from_name(key, tokens))


def _read(folder: Path, found: Survey) -> None:
    try:
        found.records.append(RunRecord(_read_config(folder), read_result(folder), folder))
    except ConfigError as error:
        found.damaged[folder] = error


def _read_config(folder: Path) -> Mapping[str, Any]:
    path = folder / CONFIG_FILE
    try:
        config = from_yaml(path.read_bytes())
    except (OSError, yaml.YAMLError) as error:
        raise unreadable(path, error) from error
    if not isinstance(config, Mapping):
        raise unreadable(path, TypeError("it holds no mapping"))
    return config


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
    return json.dumps(canonical(table[key]), default=str) if key in table else "absent"
