"""The one training loop.

Order of an update: take the batch's rows, step, record (on the device), measure norms when due,
and every ``log_every`` updates copy the record from the device. Order of an epoch's end: evaluate
on the validation split, at the iterate where a rule keeps one, then early stopping. The test split
is not seen here.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from optlab.config.schema import DiagnosticsConfig, TrainerConfig
from optlab.diagnostics import layer_norms
from optlab.tasks.base import Data, Split
from optlab.train.early_stopping import EarlyStopping
from optlab.train.recorder import Diverged, Emit, Recorder
from optlab.train.run import Run
from optlab.train.samplers import Sampler

Schedule = Callable[[int, int], float]


@dataclass
class Outcome:
    """How a training ended.

    Attributes:
        status: ``"done"`` or ``"diverged"``.
        cause: What made it diverge, or why it stopped before the last epoch.
        updates: Updates made. A loss that is not finite is found when records are made; ``cause``
            names its update.
        epochs: The same in passes over the training rows.
        best_epoch: Epoch of the lowest validation loss.
        best_val: Validation loss and metrics of that epoch.
        train_s: Seconds of training alone, the device's work included: evaluation, logging and
            set-up are off the clock.
    """

    status: str = "done"
    cause: str | None = None
    updates: int = 0
    epochs: float = 0.0
    best_epoch: float = 0.0
    best_val: Mapping[str, float] = field(default_factory=dict)
    train_s: float = 0.0


@dataclass(frozen=True)
class Training:
    """A run, its data, and how to train it.

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
    def num_updates(self) -> int:
        """Updates of the whole training, unless it stops early."""
        return self.trainer.epochs * self.sampler.updates_per_epoch

    def fit(self, emit: Emit) -> Outcome:
        """Train, and return how it ended; the module then holds the weights to use.

        Args:
            emit: Takes ``(update, epoch, {tag: value})`` of every record.
        """
        loop = _Loop(self, emit)
        try:
            loop.train()
            loop.flush()
        except Diverged as diverged:
            loop.end_diverged(diverged)
        loop.settle()
        return loop.outcome

    def evaluate(self, split: Split) -> dict[str, float]:
        """Return loss and metrics of the module as it is on a split of `data`."""
        return self.run.objective.evaluate(self.run.module, split)


class _Loop:
    """What `Training.fit` keeps between its phases."""

    def __init__(self, training: Training, emit: Emit) -> None:
        self.training, self.emit = training, emit
        self.run, self.trainer, self.sampler = training.run, training.trainer, training.sampler
        self.recorder = Recorder(self.run.objective, emit, self.sampler.updates_per_epoch)
        self.stopping = EarlyStopping(self.trainer.patience, self.trainer.min_delta)
        self.outcome = Outcome()
        self.best_weights: Any = None
        self.lr_factor = 1.0
        self.off_clock_s = 0.0

    def train(self) -> None:
        """Run the epochs until the last, or until early stopping says so."""
        self.evaluate(0)
        self.run.module.train()
        for epoch in range(1, self.trainer.epochs + 1):
            self.train_epoch(epoch)
            if epoch == self.trainer.epochs or epoch % self.trainer.eval_every == 0:
                self.evaluate(epoch)
            if self.stopping.should_stop and epoch < self.trainer.epochs:
                self.outcome.cause = self.why_stopped()
                return

    def why_stopped(self) -> str:
        """Say what early stopping saw; before the last epoch, evaluation i is of i * eval_every."""
        since = self.stopping.improved_index * self.trainer.eval_every
        margin = f" by more than {self.trainer.min_delta:g}" if self.trainer.min_delta else ""
        return f"no better validation loss{margin} since epoch {since}"

    def train_epoch(self, epoch: int) -> None:
        """Make one pass over the sampler's batches, on the training clock."""
        started, off_clock_s = time.perf_counter(), self.off_clock_s
        try:
            for rows in self.sampler.epoch(epoch - 1):
                self.update(rows)
        finally:
            self.wait_for_device()
            elapsed = time.perf_counter() - started
            self.outcome.train_s += elapsed - (self.off_clock_s - off_clock_s)

    def update(self, rows: Tensor | None) -> None:
        """Make one update and what follows it."""
        outcome = self.outcome
        self.lr_factor = self.training.schedule(outcome.updates, self.training.num_updates)
        self.recorder.add(self.run.step(rows, self.lr_factor))
        outcome.updates += 1
        every = self.training.diagnostics.every
        if every and outcome.updates % every == 0:
            self.measure()
        if outcome.updates % self.trainer.log_every == 0:
            self.flush()

    def flush(self) -> None:
        """Hand the recorded window on, off the training clock."""
        self.wait_for_device()
        started = time.perf_counter()
        self.recorder.flush(lr=self.run.lr * self.lr_factor)
        self.off_clock_s += time.perf_counter() - started

    def measure(self) -> None:
        """Record the norms that the diagnostics ask for, off the training clock.

        Weights are those of the iterate, gradients those of the update (for NAG ahead of it).
        """
        self.wait_for_device()
        started = time.perf_counter()
        values: dict[str, float] = {}
        if self.training.diagnostics.gradient_norms:
            values |= layer_norms("gradient_norm", self.run.gradients())
        if self.training.diagnostics.weight_norms:
            with self.run.at_iterate():
                values |= layer_norms("weight_norm", dict(self.run.module.named_parameters()))
        self.record(values)
        self.off_clock_s += time.perf_counter() - started

    def wait_for_device(self) -> None:
        """Let the training clock see the work that CUDA still has before it.

        Only where the host would wait next anyway, so that no update waits for the one before.
        """
        if self.sampler.device.type == "cuda":
            torch.cuda.synchronize(self.sampler.device)

    def record(self, values: Mapping[str, float]) -> None:
        """Emit values of the present update."""
        updates = self.outcome.updates
        self.emit(updates, updates / self.sampler.updates_per_epoch, values)

    def evaluate(self, epoch: int) -> None:
        """Evaluate on the validation split and keep the best weights where they are wanted."""
        with self.run.at_iterate():
            values = self.training.evaluate(self.training.data.val)
            self.record({k if "/" in k else f"{k}/val": v for k, v in values.items()})
            if not math.isfinite(values["loss"]):
                raise Diverged(self.outcome.updates, values["loss"], "validation")
            if self.stopping.update(values["loss"]):
                self.outcome.best_epoch, self.outcome.best_val = float(epoch), values
                if self.trainer.patience is not None and self.trainer.restore_best:
                    self.best_weights = self.run.snapshot()

    def end_diverged(self, diverged: Diverged) -> None:
        """Record what is left and end the outcome at the first loss that was not finite."""
        try:
            self.flush()
        except Diverged as earlier:
            diverged = earlier
        self.outcome.status, self.outcome.cause = "diverged", str(diverged)

    def settle(self) -> None:
        """Leave in the module the weights to use: the best ones if wanted, else the iterate."""
        self.outcome.epochs = self.outcome.updates / self.sampler.updates_per_epoch
        if self.best_weights is None:
            with self.run.at_iterate():
                self.best_weights = self.run.snapshot()
        self.run.restore(self.best_weights)
