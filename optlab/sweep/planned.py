"""A run of a sweep before it starts: its configuration, and where it will go."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from optlab.files import file_digest
from optlab.identity import config_hash
from optlab.sweep.run_folder import PRIMARY


@dataclass(frozen=True)
class PlannedRun:
    """One job of a sweep.

    Attributes:
        number: Its place in the sweep, from 0.
        overrides: Its overrides as Hydra takes them, ``("optimizer=adam", "seed=0", ...)``.
        config: Resolved configuration, without ``sweep``, ``hydra`` and ``defaults``.
        folder: Where its records go; the last part is its name.
        chosen: Sections that the user named, as `optlab.build.build` takes them.
    """

    number: int
    overrides: tuple[str, ...]
    config: Mapping[str, Any]
    folder: Path
    chosen: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Name of the run, for people."""
        return self.folder.name

    @cached_property
    def identity(self) -> str:
        """Hash of the configuration, from `optlab.identity.config_hash`."""
        return config_hash(self.config)


def of_the_run(resolved: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the sections of a resolved configuration that are the run's own.

    A run that is started again goes to a folder of its own, so where output goes is not among them.
    A file that the task reads is among them, by the digest of what it holds now.
    """
    own = {str(k): v for k, v in resolved.items() if k not in {*PRIMARY, "sweep"}}
    task = own.get("task")
    if (
        isinstance(task, dict)
        and isinstance(task.get("path"), str)
        and task.get("digest", "") is None
    ):
        own["task"] = {**task, "digest": file_digest(Path(task["path"]))}
    return own


def chosen_sections(words: Iterable[str]) -> frozenset[str]:
    """Return the sections that overrides name: ``optimizer`` of ``optimizer.lr=0.1``."""
    keys = (str(word).lstrip("+~").partition("=")[0] for word in words)
    return frozenset(key.partition(".")[0] for key in keys)
