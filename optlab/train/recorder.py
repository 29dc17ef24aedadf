"""Holds measured values on the device and hands them on, one copy per window of updates."""

import math
from collections.abc import Callable, Mapping
from functools import reduce
from operator import add

import torch
from torch import Tensor

from optlab.train.objective import Objective

Emit = Callable[[int, float, Mapping[str, float]], None]


class Diverged(Exception):
    """The loss stopped being a finite number.

    Attributes:
        update: Number of the update, counted from 1, whose batch gave that loss.
        value: The loss.
    """

    def __init__(self, update: int, value: float, split: str = "training") -> None:
        self.update = update
        self.value = value
        super().__init__(f"the {split} loss became {value} at update {update}")


class Recorder:
    """Averages `Objective.values` over the updates since the last record."""

    def __init__(self, objective: Objective, emit: Emit, updates_per_epoch: int) -> None:
        self._objective = objective
        self._emit = emit
        self._updates_per_epoch = updates_per_epoch
        self._window: list[Tensor] = []
        self._update = 0

    def add(self, values: list[Tensor]) -> None:
        """Take one update's values, the loss first; nothing waits for the device."""
        self._window.extend(values)
        self._update += 1

    def flush(self, **extra: float) -> None:
        """Copy the window from the device, record it with ``extra`` values, and empty it.

        Raises:
            Diverged: When a loss in the window is not finite; the record is written first.
        """
        if not self._window:
            return
        rows = torch.stack(self._window).view(-1, len(self._objective.names)).tolist()
        self._window = []
        self._emit(self._update, self._update / self._updates_per_epoch, self._summary(rows, extra))
        for i, row in enumerate(rows):
            if not math.isfinite(row[0]):
                raise Diverged(self._update - len(rows) + 1 + i, row[0])

    def _summary(self, rows: list[list[float]], extra: Mapping[str, float]) -> dict[str, float]:
        # One after another, as a stack's are added: sum() of Python 3.12 rounds in another way.
        means = [reduce(add, column) / len(rows) for column in zip(*rows, strict=True)]
        shown = self._objective.shown(means)
        return {**{f"{name}/train": value for name, value in shown.items()}, **extra}
