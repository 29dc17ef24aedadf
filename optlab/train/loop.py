"""The one training loop.

Order of an update: take the batch's rows, step, record (on the device), measure norms when due,
and every ``log_every`` updates copy the record from the device. Order of an epoch's end: evaluate
on the validation split, at the iterate where a rule keeps one, then early stopping. The test split
is not seen here.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from optlab.config.schema import DiagnosticsConfig, TrainerConfig
from optlab.diagnostics import Drift, dead_units, gradient_flow, layer_norms, update_ratios
from optlab.diagnostics.flow import evenly_spaced_rows, thinned
from optlab.tasks.base import Data, Split
from optlab.train.early_stopping import EarlyStopping
from optlab.train.objective import rows_of_a_chunk
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
        self.drift = Drift()

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
        every, flow_every = self.training.diagnostics.every, self.training.diagnostics.flow_every
        if flow_every and outcome.updates % flow_every == 0:
            self.measure_flow()
        is_measured = every > 0 and (outcome.updates + 1) % every == 0
        before = self.weights_before() if is_measured else {}
        self.recorder.add(self.run.step(rows, self.lr_factor))
        outcome.updates += 1
        if is_measured:
            self.measure(before)
        if outcome.updates % self.trainer.log_every == 0:
            self.flush()

    def flush(self) -> None:
        """Hand the recorded window on, off the training clock."""
        with self.off_clock():
            self.recorder.flush(lr=self.run.lr * self.lr_factor)

    def weights_before(self) -> dict[str, Tensor]:
        """Return a copy of the iterate where the coming update is to be compared with it."""
        if not self.training.diagnostics.update_ratios:
            return {}
        with self.off_clock(), self.run.at_iterate():
            named = self.run.module.named_parameters()
            return {name: p.detach().clone() for name, p in named}

    def measure(self, before: Mapping[str, Tensor]) -> None:
        """Record what the diagnostics ask for, off the training clock.

        Weights are those of the iterate, gradients those of the update (for NAG ahead of it).

        Args:
            before: Parameters before the update, or nothing.
        """
        wanted, run = self.training.diagnostics, self.run
        with self.off_clock():
            values: dict[str, float] = {}
            if wanted.gradient_norms:
                values |= layer_norms("gradient_norm", run.gradients())
            if wanted.weight_norms or before:
                with run.at_iterate():
                    weights = dict(run.module.named_parameters())
                    if wanted.weight_norms:
                        values |= layer_norms("weight_norm", weights)
                    values |= thinned(update_ratios(before, weights))
            self.record(values)

    def measure_flow(self) -> None:
        """Record how gradients flow where the coming update takes its own, off the clock."""
        with self.off_clock():
            run = self.run
            values = gradient_flow(
                run.module, run.objective.loss, *self.flow_rows, drift=self.drift
            )
            if values:
                self.record(values)

    @cached_property
    def flow_rows(self) -> tuple[Tensor, Tensor]:
        """Inputs and targets of the training rows on which flow is measured: always the same."""
        split = self.training.data.train
        rows = evenly_spaced_rows(len(split), split.x.device)
        return split.x.index_select(0, rows), split.y.index_select(0, rows)

    @contextmanager
    def off_clock(self) -> Iterator[None]:
        """Leave what is done inside out of the training time."""
        self.wait_for_device()
        started = time.perf_counter()
        try:
            yield
        finally:
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
            self.measure_dead_units()
            if not math.isfinite(values["loss"]):
                raise Diverged(self.outcome.updates, values["loss"], "validation")
            if self.stopping.update(values["loss"]):
                self.outcome.best_epoch, self.outcome.best_val = float(epoch), values
                if self.trainer.patience is not None and self.trainer.restore_best:
                    self.best_weights = self.run.snapshot()

    def measure_dead_units(self) -> None:
        """Record the share of dead units over all training rows, where it is wanted (GRD-09)."""
        if self.training.diagnostics.dead_units:
            x = self.training.data.train.x
            chunks = torch.split(x, rows_of_a_chunk(x))
            values = dead_units(self.run.module, chunks)
            if values:
                self.record(values)

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
