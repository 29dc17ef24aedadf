"""The training loop: of one run, or of many that are trained as if each were alone.

Order of an update: take the batch's rows, look at the flow of gradients when due, step, measure
norms when due, and record the mean of every ``log_every`` updates. Order of an epoch's end:
evaluate on the validation split, at the iterate where a rule keeps one, then early stopping. The
test split is seen once a run has ended.

All runs make the same updates at the same time. The executing backend is asked for as many updates
at once as nobody needs to look at the runs in between (`optlab.train.stack.epochs.stretches`), but
for no more than some second. A run that diverges or stops early leaves; the others notice nothing.

On the CPU a run that diverges stops at the end of its window. On other devices, where a look costs
a wait, it may go on to the end of the epoch before that is seen: its records and outcome are the
same, the weights in its module are later ones.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from torch import Tensor

from optlab.train.course import Course, num_updates
from optlab.train.stack.backend import Backend
from optlab.train.stack.checkpointer import Checkpointer, State, state_of
from optlab.train.stack.distributions import Distributions, TakeNumbers
from optlab.train.stack.ended import Ended
from optlab.train.stack.epochs import Factors, batches_between, rows_of_epoch, stretches
from optlab.train.stack.norms import StackNorms
from optlab.train.stack.recording import Recording
from optlab.train.stack.runs import Runs
from optlab.train.stack.sink import Sink
from optlab.train.stack.windows import Windows
from optlab.train.standing import Diverged, Outcome

#: Updates that are asked for at once take about so long at most: in between, somebody who wants
#: the training to stop is heard.
PIECE_S = 1.0

OnEnd = Callable[[int, Outcome], None]


class StackTraining:
    """Runs and what executes them.

    The runs share data, objective, batch size and everything of `TrainerConfig` and
    `DiagnosticsConfig` but patience, min_delta and restore_best.

    Args:
        courses: How each run is to be trained, such as its `optlab.train.Parts`.
        backend: Executes the runs, in the same order.
        keeps_best: Whether to keep every run's best weights, also where it does not end with them.
    """

    def __init__(
        self, courses: Sequence[Course], backend: Backend, *, keeps_best: bool = False
    ) -> None:
        self.courses, self.backend, self.keeps_best = courses, backend, keeps_best

    def fit(
        self,
        sink: Sink,
        on_advance: Callable[[int], None] | None = None,
        on_end: OnEnd | None = None,
        checkpointer: Checkpointer | None = None,
        since: State | None = None,
        numbers: TakeNumbers | None = None,
    ) -> list[Ended]:
        """Train all runs, and return how each ended.

        Args:
            sink: Takes the records.
            on_advance: Called with the updates made, of all runs together, as often as some were.
            on_end: Called with a run's number and how it ended, when it leaves.
            checkpointer: Is asked between updates whether to keep how the runs stand.
            since: What it was given at some update of the same runs: they go on from there, and
                make the same updates and records as if they had never stopped. It is used up.
            numbers: Takes weights and gradients, every ``diagnostics.histograms_every`` updates.
        """
        loop = _Loop(self, sink, on_advance, on_end, checkpointer, numbers)
        if since is not None:
            loop.load(since)
        loop.train()
        return [loop.runs.ended[run] for run in range(len(self.courses))]


class _Loop:
    """What `StackTraining.fit` keeps between its phases."""

    def __init__(
        self,
        training: StackTraining,
        sink: Sink,
        on_advance: Callable[[int], None] | None,
        on_end: OnEnd | None,
        checkpointer: Checkpointer | None,
        numbers: TakeNumbers | None,
    ) -> None:
        courses, first = training.courses, training.courses[0]
        self.courses, self.backend = courses, training.backend
        self.on_advance, self.on_end = on_advance, on_end
        self.checkpointer = checkpointer
        self.trainer, self.diagnostics = first.trainer, first.diagnostics
        self.updates_per_epoch = first.sampler.updates_per_epoch
        self.has_short_batch = bool(first.sampler.num_rows % first.sampler.batch_size)
        is_cheap = first.sampler.device.type == "cpu"
        self.looks_every = self.trainer.log_every if is_cheap else None
        self.runs = Runs(courses, training.backend, training.keeps_best)
        lrs = [member.lr for member in self.runs.members]
        self.windows = Windows(
            first.objective, lrs, self.trainer.log_every, self.updates_per_epoch, sink
        )
        self.recording = Recording(sink, self.updates_per_epoch)
        self.factors_of = Factors([course.schedule for course in courses], num_updates(first))
        self.norms = StackNorms(self.runs.members, self.diagnostics)
        cadence = self.diagnostics.histograms_every, num_updates(first)
        self.distributions = Distributions(self.runs.members, *cadence, numbers)
        self.rows: Tensor | None = None
        self.factors: Tensor
        self.updates, self.update_s, self.has_begun = 0, math.inf, False

    def load(self, since: State) -> None:
        """Go back to an update at which the runs were kept."""
        self.updates, self.has_begun = since.updates, True
        since.load_into(self.runs, self.windows)
        since.runs.clear()  # it is as large as the runs are
        if self.on_advance is not None:
            made = sum(end.outcome.updates for end in self.runs.ended.values())
            self.on_advance(made + self.updates * len(self.runs.active))
        if self.on_end is not None:
            for run, ended in self.runs.ended.items():
                self.on_end(run, ended.outcome)

    def train(self) -> None:
        """Run the epochs until the last, or until no run is left."""
        if not self.has_begun:
            self.evaluate(0)
            self.distributions.look(self.runs.active, 0)
        for run in self.runs.active:
            self.runs.members[run].module.train()
        for epoch in range(self.updates // self.updates_per_epoch + 1, self.trainer.epochs + 1):
            self.train_epoch(epoch)
            if epoch == self.trainer.epochs or epoch % self.trainer.eval_every == 0:
                self.evaluate(epoch)
            if epoch < self.trainer.epochs:
                standings = self.runs.standings
                self.end(run for run in self.runs.active if standings[run].stops_early())
        self.end(self.runs.active)

    def train_epoch(self, epoch: int) -> None:
        """Make one pass of every run over its rows, or what is left of it."""
        last = epoch * self.updates_per_epoch
        first, active = last - self.updates_per_epoch, self.runs.active
        if active:
            self.rows = rows_of_epoch([self.courses[run].sampler for run in active], epoch - 1)
            self.factors = self.factors_of.between(first, last, active)
        every = self.looks_every, self.distributions.every
        for start, stop in stretches(first, last, self.diagnostics, self.has_short_batch, *every):
            while self.updates < stop and self.runs.active:
                self.keep()
                if self.updates == start:
                    self.look()
                most = max(1, int(PIECE_S / self.update_s))
                self.advance(first, min(stop, self.updates + most))

    def keep(self) -> None:
        """Give how the runs stand to whoever keeps it, if that is due."""
        if self.checkpointer is not None and self.checkpointer.is_due():
            self.checkpointer.keep(state_of(self.runs, self.windows, self.updates))

    def look(self) -> None:
        """Record how gradients flow where the coming update takes its own, when due."""
        every = self.diagnostics.flow_every
        if every and self.updates % every == 0:
            for run in self.runs.active:
                self.recording.one(run, self.updates, self.runs.measured[run].flow())

    def advance(self, first: int, stop: int) -> None:
        """Make updates up to ``stop`` in the epoch that began after ``first``.

        Norms of an update are measured where it is a stretch of its own.
        """
        active, every = self.runs.active, self.diagnostics.every
        is_measured = every > 0 and stop % every == 0
        if is_measured:
            self.norms.before(active)
        start, end = self.updates - first, stop - first
        factors = self.factors[:, start:end]
        size = self.courses[0].sampler.batch_size
        values = self.made(batches_between(self.rows, start, end, size), factors)
        self.updates = stop
        if is_measured:
            self.recording.all(active, stop, self.norms.after(active))
        self.distributions.look(active, stop)
        found = self.windows.add(active, values, factors.numpy())
        for run, (update, diverged) in found.items():
            self.runs.standings[run].outcome.updates = update
            self.runs.standings[run].end_diverged(diverged)
        self.leave(list(found))

    def made(self, rows: Tensor | None, factors: Tensor) -> np.ndarray:
        """Have the updates made and wait for their values, on the training clock."""
        active = self.runs.active
        started = time.perf_counter()
        values = self.backend.advance(active, rows, factors).cpu().double().numpy()
        elapsed = time.perf_counter() - started
        self.runs.train_s[active] += elapsed / len(active)
        self.update_s = max(elapsed / factors.shape[1], 1e-9)
        if self.on_advance is not None:
            self.on_advance(factors.numel())
        return values

    def evaluate(self, epoch: int) -> None:
        """Evaluate on the validation split and keep the best weights where they are wanted."""
        active = self.runs.active
        if not active:
            return
        values = self.runs.validation()
        tags = [tag if "/" in tag else f"{tag}/val" for tag in values[0]]
        named = [dict(zip(tags, row.values(), strict=True)) for row in values]
        self.recording.all(active, self.updates, named)
        diverged: dict[int, Diverged] = {}
        for run, row in zip(active, values, strict=True):
            try:
                self.recording.one(run, self.updates, self.runs.dead_units(run))
                self.runs.judge(run, epoch, self.updates, row)
            except Diverged as bad:
                diverged[run] = bad
        self.end(diverged, diverged)

    def end(self, runs: Iterable[int], diverged: Mapping[int, Diverged] | None = None) -> None:
        """End runs at the present update, as diverged where their last window says so."""
        runs, why = list(runs), dict(diverged or {})
        why |= {run: found.diverged for run, found in self.windows.flush(runs).items()}
        for run in runs:
            self.runs.standings[run].outcome.updates = self.updates
            if run in why:
                self.runs.standings[run].end_diverged(why[run])
        self.leave(runs)

    def leave(self, runs: Sequence[int]) -> None:
        """Go on without runs, which leave the weights to use in their modules."""
        if not runs:
            return
        for run in runs:
            update = self.runs.standings[run].outcome.updates
            self.recording.one(run, update, self.runs.where_it_broke(run))
        kept = self.runs.leave(runs)
        if self.on_end is not None:
            for run in runs:
                self.on_end(run, self.runs.standings[run].outcome)
        if kept and self.updates:
            self.factors = self.factors[kept]
            self.rows = None if self.rows is None else self.rows[kept]
