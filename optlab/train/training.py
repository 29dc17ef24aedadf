"""The training of one run by itself: a stack of one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from optlab.config.schema import DiagnosticsConfig, TrainerConfig
from optlab.tasks.base import Data, Split
from optlab.train.course import Schedule, num_updates
from optlab.train.objective import Objective
from optlab.train.run import Run
from optlab.train.samplers import Sampler
from optlab.train.stack.distributions import TakeNumbers
from optlab.train.stack.ended import Ended
from optlab.train.stack.loop import StackTraining
from optlab.train.stack.sequential import Sequential

Emit = Callable[[int, float, Mapping[str, float]], None]


@dataclass(frozen=True)
class Training:
    """A run, its data, and how to train it; a `optlab.train.course.Course`.

    Attributes:
        run: The run, before its first update.
        data: Encoded splits on the run's device.
        sampler: Rows of each update.
        trainer: Epochs, cadences and early stopping.
        diagnostics: What to measure inside the network, and how often.
        schedule: ``(update, num_updates) -> factor`` of the learning rate, updates from 0.
    """

    run: Run
    data: Data
    sampler: Sampler
    trainer: TrainerConfig
    diagnostics: DiagnosticsConfig
    schedule: Schedule

    @property
    def objective(self) -> Objective:
        """What is minimized and measured."""
        return self.run.objective

    @property
    def num_updates(self) -> int:
        """Updates of the whole training, unless it stops early."""
        return num_updates(self)

    def fit(self, emit: Emit, numbers: TakeNumbers | None = None) -> Ended:
        """Train, and return how it ended; the module then holds the weights to use.

        Args:
            emit: Takes ``(update, epoch, {tag: value})`` of every record.
            numbers: Takes weights and gradients; see `StackTraining.fit`.
        """
        stack = StackTraining([self], Sequential([self.run]))
        (ended,) = stack.fit(EachRecord(emit), numbers=numbers)
        return ended

    def evaluate(self, split: Split) -> dict[str, float]:
        """Return loss and metrics of the module as it is on a split of `data`."""
        return self.objective.evaluate(self.run.module, split)


class EachRecord:
    """A `Sink` of one run that hands every record on by itself."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def log(self, run: int, update: int, epoch: float, values: Mapping[str, float]) -> None:
        """Hand a record on."""
        self._emit(update, epoch, values)

    def log_block(
        self,
        runs: Sequence[int],
        updates: Sequence[int],
        epochs: Sequence[float],
        tags: Sequence[str],
        values: np.ndarray,
    ) -> None:
        """Hand the records of a block on, one after another."""
        for update, epoch, row in zip(updates, epochs, values[0].tolist(), strict=True):
            self._emit(update, epoch, dict(zip(tags, row, strict=True)))
