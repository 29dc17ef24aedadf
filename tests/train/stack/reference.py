"""The loop of one run as one would write it by hand: an oracle for the loop of stacks.

No clocks, no checkpoints, one update after another; nothing of `optlab.train.stack` is used
but its norms, which have tests of their own.
"""

import math

import torch

from optlab.train.measurements import Measurements
from optlab.train.stack.norms import StackNorms
from optlab.train.standing import Diverged, Standing


class Recorder:
    """Averages values over the updates since the last record, one after another."""

    def __init__(self, objective, emit, updates_per_epoch):
        self.objective, self.emit, self.updates_per_epoch = objective, emit, updates_per_epoch
        self.window, self.update = [], 0

    def add(self, values):
        """Take one update's values, the loss first."""
        self.window.append([float(value) for value in torch.stack(list(values)).tolist()])
        self.update += 1

    def flush(self, **extra):
        """Record the window and empty it; raise `Diverged` after a loss that is not finite."""
        rows, self.window = self.window, []
        if not rows:
            return
        means = []
        for column in zip(*rows, strict=True):
            total = 0.0
            for value in column:
                total += value
            means.append(total / len(rows))
        values = {f"{name}/train": v for name, v in self.objective.shown(means).items()}
        self.emit(self.update, self.update / self.updates_per_epoch, values | extra)
        for i, row in enumerate(rows):
            if not math.isfinite(row[0]):
                raise Diverged(self.update - len(rows) + 1 + i, row[0])


class Loop:
    """The training of one `optlab.train.Training`."""

    def __init__(self, training, emit):
        self.training, self.emit, self.run = training, emit, training.run
        self.trainer, self.sampler = training.trainer, training.sampler
        self.recorder = Recorder(training.objective, emit, self.sampler.updates_per_epoch)
        self.standing = Standing(self.trainer)
        self.measured = Measurements(self.run, training.data, training.diagnostics)
        self.factor = 1.0

    def fit(self):
        """Train, leave the weights to use in the module and return the outcome."""
        outcome = self.standing.outcome
        try:
            self.train()
            self.flush()
        except Diverged as diverged:
            self.standing.end_diverged(self.earlier() or diverged)
            self.record(self.measured.where_it_broke())
        self.standing.settle(self.run)
        outcome.epochs = outcome.updates / self.sampler.updates_per_epoch
        return outcome

    def earlier(self):
        """Return what the last window says, which may have gone bad before the evaluation."""
        try:
            self.flush()
        except Diverged as diverged:
            return diverged

    def train(self):
        """Run the epochs until the last, or until early stopping says so."""
        self.evaluate(0)
        self.run.module.train()
        for epoch in range(1, self.trainer.epochs + 1):
            for rows in self.sampler.epoch(epoch - 1):
                self.update(rows)
            if epoch == self.trainer.epochs or epoch % self.trainer.eval_every == 0:
                self.evaluate(epoch)
            if epoch < self.trainer.epochs and self.standing.stops_early():
                return

    def update(self, rows):
        """Make one update and what belongs to it."""
        outcome, wanted = self.standing.outcome, self.training.diagnostics
        self.factor = self.training.schedule(outcome.updates, self.training.num_updates)
        if wanted.flow_every and outcome.updates % wanted.flow_every == 0:
            self.record(self.measured.flow())
        is_measured = wanted.every > 0 and (outcome.updates + 1) % wanted.every == 0
        norms = StackNorms([self.run], wanted)
        if is_measured:
            norms.before([0])
        self.recorder.add(self.run.step(rows, self.factor))
        outcome.updates += 1
        if is_measured:
            self.record(norms.after([0])[0])
        if outcome.updates % self.trainer.log_every == 0:
            self.flush()

    def flush(self):
        """Record the window."""
        self.recorder.flush(lr=self.run.lr * self.factor)

    def record(self, values):
        """Record values of the present update, where there are any."""
        updates = self.standing.outcome.updates
        if values:
            self.emit(updates, updates / self.sampler.updates_per_epoch, values)

    def evaluate(self, epoch):
        """Evaluate on the validation split and keep the best weights where they are wanted."""
        training = self.training
        with self.run.at_iterate():
            values = training.objective.evaluate(self.run.module, training.data.val)
            self.record({k if "/" in k else f"{k}/val": v for k, v in values.items()})
            self.record(self.measured.dead_units())
            if self.standing.judge(epoch, values) and self.standing.restores_best:
                self.standing.best_weights = self.run.snapshot()
