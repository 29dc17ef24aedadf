"""The one training loop.

Order of an update: take the batch's rows, step, record (on the device), measure norms when due,
and every ``log_every`` updates copy the record from the device. Order of an epoch's end: evaluate
on the validation split, at the iterate where a rule keeps one, then early stopping. The test split
is not seen here.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from optlab.config.schema import DiagnosticsConfig, TrainerConfig
from optlab.tasks.base import Data, Split
from optlab.train.measurements import Measurements
from optlab.train.recorder import Diverged, Emit, Recorder
from optlab.train.run import Run
from optlab.train.samplers import Sampler
from optlab.train.standing import Outcome, Standing

Schedule = Callable[[int, int], float]


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
        loop.standing.settle(self.run)
        loop.outcome.epochs = loop.outcome.updates / self.sampler.updates_per_epoch
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
        self.standing = Standing(self.trainer)
        self.outcome = self.standing.outcome
        self.measured = Measurements(self.run, training.data, training.diagnostics)
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
            if epoch < self.trainer.epochs and self.standing.stops_early():
                return

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
            with self.off_clock():
                self.record(self.measured.flow())
        is_measured = every > 0 and (outcome.updates + 1) % every == 0
        before = self.weights_before() if is_measured else {}
        self.recorder.add(self.run.step(rows, self.lr_factor))
        outcome.updates += 1
        if is_measured:
            with self.off_clock():
                self.record(self.measured.norms(before))
        if outcome.updates % self.trainer.log_every == 0:
            self.flush()

    def flush(self) -> None:
        """Hand the recorded window on, off the training clock."""
        with self.off_clock():
            self.recorder.flush(lr=self.run.lr * self.lr_factor)

    def weights_before(self) -> dict[str, Tensor]:
        """Return a copy of the iterate where it is wanted, off the training clock."""
        with self.off_clock():
            return self.measured.weights_before()

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
        """Emit values of the present update, where there are any."""
        updates = self.outcome.updates
        if values:
            self.emit(updates, updates / self.sampler.updates_per_epoch, values)

    def evaluate(self, epoch: int) -> None:
        """Evaluate on the validation split and keep the best weights where they are wanted."""
        with self.run.at_iterate():
            values = self.training.evaluate(self.training.data.val)
            self.record({k if "/" in k else f"{k}/val": v for k, v in values.items()})
            self.record(self.measured.dead_units())
            if self.standing.judge(epoch, values) and self.standing.restores_best:
                self.standing.best_weights = self.run.snapshot()

    def end_diverged(self, diverged: Diverged) -> None:
        """Record what is left and end the outcome at the first loss that was not finite."""
        try:
            self.flush()
        except Diverged as earlier:
            diverged = earlier
        self.standing.end_diverged(diverged)
