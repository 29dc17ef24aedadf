"""A run of a sweep before it starts: composed, named and identified. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from optlab.results import config_hash


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
        """Hash of the configuration, from `optlab.results.config_hash`."""
        return config_hash(self.config)
