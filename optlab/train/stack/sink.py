"""Where the records of a stack's runs go."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np


class Sink(Protocol):
    """Takes records of many runs; what cannot be written raises and is never dropped.

    Shapes: runs A, records K, tags T.
    """

    def log(self, run: int, update: int, epoch: float, values: Mapping[str, float]) -> None:
        """Record values of one run by tag; see `optlab.loggers.Logger.log`."""
        ...

    def log_block(
        self,
        runs: Sequence[int],
        updates: Sequence[int],
        epochs: Sequence[float],
        tags: Sequence[str],
        values: np.ndarray,
    ) -> None:
        """Record values of several runs at the same updates.

        Args:
            runs: Numbers of the runs, (A).
            updates: Updates made at each record, (K), ascending.
            epochs: The same in passes over the training rows, (K).
            tags: Names of the values, (T).
            values: The values, (A, K, T), float64.
        """
        ...


class Both:
    """Hands every record on to two sinks, one after the other."""

    def __init__(self, first: Sink, second: Sink) -> None:
        self._sinks = first, second

    def log(self, run: int, update: int, epoch: float, values: Mapping[str, float]) -> None:
        """Record values of one run by tag."""
        for sink in self._sinks:
            sink.log(run, update, epoch, values)

    def log_block(
        self,
        runs: Sequence[int],
        updates: Sequence[int],
        epochs: Sequence[float],
        tags: Sequence[str],
        values: np.ndarray,
    ) -> None:
        """Record values of several runs at the same updates."""
        for sink in self._sinks:
            sink.log_block(runs, updates, epochs, tags, values)
