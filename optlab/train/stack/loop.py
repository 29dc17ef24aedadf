"""The training loop of a stack: every run is trained, recorded and ended as if it were alone.

All runs make the same updates at the same time; `optlab.train.loop` is the loop of one, and says
what happens in which order. The executing backend is asked for as many updates at once as nobody
needs to look at the runs in between (`optlab.train.stack.epochs.stretches`). A run that diverges or
stops early leaves; the others notice nothing.

On the CPU a run that diverges stops at the end of its window, as alone. On other devices, where a
look costs a wait, it may go on to the end of the epoch before that is seen: its records and outcome
are those of the run alone, the weights in its module are later ones.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from torch import Tensor

from optlab.train.measurements import Measurements
from optlab.train.parts import Parts
from optlab.train.recorder import Diverged
from optlab.train.stack.backend import Backend
from optlab.train.stack.ended import Ended, settled
from optlab.train.stack.epochs import Factors, rows_of_epoch, stretches
from optlab.train.stack.norms import StackNorms
from optlab.train.stack.sink import Sink
from optlab.train.stack.windows import Windows
from optlab.train.standing import Outcome, Standing


class StackTraining:
    """Runs and what executes them.

    The runs share data, objective, batch size and everything of `TrainerConfig` and
    `DiagnosticsConfig` but patience, min_delta and restore_best.

    Args:
        parts: What each run is made of.
        backend: Executes the runs, in the same order.
        keeps_best: Whether to keep every run's best weights, also where it does not end with them.
    """

    def __init__(
        self, parts: Sequence[Parts], backend: Backend, *, keeps_best: bool = False
    ) -> None:
        self.parts, self.backend, self.keeps_best = parts, backend, keeps_best

    def fit(
        self,
        sink: Sink,
        on_advance: Callable[[int], None] | None = None,
        on_end: Callable[[int, Outcome], None] | None = None,
    ) -> list[Ended]:
        """Train all runs, and return how each ended.

        Args:
            sink: Takes the records.
            on_advance: Called with the updates made, of all runs together, as often as some were.
            on_end: Called with a run's number and how it ended, when it leaves.
        """
        loop = _StackLoop(self, sink, on_advance, on_end)
        loop.train()
        return [loop.ended[run] for run in range(len(self.parts))]


class _StackLoop:
    """What `StackTraining.fit` keeps between its phases."""

    def __init__(
        self,
        training: StackTraining,
        sink: Sink,
        on_advance: Callable[[int], None] | None,
        on_end: Callable[[int, Outcome], None] | None,
    ) -> None:
        parts, first = training.parts, training.parts[0]
        self.parts, self.backend, self.sink = parts, training.backend, sink
        self.members, self.on_advance, self.on_end = training.backend.members, on_advance, on_end
        self.keeps_best = training.keeps_best
        self.data, self.objective, self.trainer = first.data, first.objective, first.trainer
        self.diagnostics, self.num_updates = first.diagnostics, first.num_updates
        self.updates_per_epoch = first.sampler.updates_per_epoch
        self.has_short_batch = bool(first.sampler.num_rows % first.sampler.batch_size)
        is_cheap = first.sampler.device.type == "cpu"
        self.looks_every = self.trainer.log_every if is_cheap else None
        self.windows = Windows(
            self.objective,
            [member.lr for member in self.members],
            self.trainer.log_every,
            self.updates_per_epoch,
            sink,
        )
        self.factors_of = Factors([part.schedule for part in parts], self.num_updates)
        self.standings = [Standing(part.trainer) for part in parts]
        self.measured = [
            Measurements(member, self.data, self.diagnostics) for member in self.members
        ]
        self.norms = StackNorms(self.members, self.diagnostics)
        self.active = list(range(len(parts)))
        self.rows: Tensor | None = None
        self.factors: Tensor
        self.train_s = np.zeros(len(parts))
        self.updates = 0
        self.ended: dict[int, Ended] = {}

    def train(self) -> None:
        """Run the epochs until the last, or until no run is left."""
        self.evaluate(0)
        for member in self.members:
            member.module.train()
        for epoch in range(1, self.trainer.epochs + 1):
            self.train_epoch(epoch)
            if epoch == self.trainer.epochs or epoch % self.trainer.eval_every == 0:
                self.evaluate(epoch)
            if epoch < self.trainer.epochs:
                self.end(run for run in self.active if self.standings[run].stops_early())
        self.end(self.active)

    def train_epoch(self, epoch: int) -> None:
        """Make one pass of every run over its rows."""
        first, last = self.updates, self.updates + self.updates_per_epoch
        if self.active:
            self.rows = rows_of_epoch([self.parts[run].sampler for run in self.active], epoch - 1)
            self.factors = self.factors_of.between(first, last, self.active)
        for start, stop in stretches(
            first, last, self.diagnostics, self.has_short_batch, self.looks_every
        ):
            if self.active:
                self.stretch(start, stop, start - first)

    def stretch(self, start: int, stop: int, done: int) -> None:
        """Make the updates from ``start`` to ``stop``, of which the epoch had ``done`` before.

        Norms of an update are measured where it is a stretch of its own.
        """
        every, flow_every = self.diagnostics.every, self.diagnostics.flow_every
        if flow_every and start % flow_every == 0:
            for run in self.active:
                self.record(run, self.measured[run].flow())
        is_measured = every > 0 and stop % every == 0
        if is_measured:
            self.norms.before(self.active)
        factors = self.factors[:, done : done + stop - start]
        values = self.advance(self.rows_between(done, done + stop - start), factors)
        self.updates = stop
        if is_measured:
            self.record_all(self.norms.after(self.active))
        found = self.windows.add(self.active, values, factors.numpy())
        for run, (update, diverged) in found.items():
            self.standings[run].outcome.updates = update
            self.standings[run].end_diverged(diverged)
        self.leave(list(found))

    def rows_between(self, start: int, stop: int) -> Tensor | None:
        """Return the rows of some updates of the epoch, (A, K, B)."""
        if self.rows is None:
            return None
        size = self.parts[0].sampler.batch_size
        batches = self.rows[:, start * size : stop * size]
        return batches.reshape(len(batches), stop - start, -1)

    def advance(self, rows: Tensor | None, factors: Tensor) -> np.ndarray:
        """Have the updates made and wait for their values, on the training clock."""
        started = time.perf_counter()
        values = self.backend.advance(self.active, rows, factors).cpu().double().numpy()
        self.train_s[self.active] += (time.perf_counter() - started) / len(self.active)
        if self.on_advance is not None:
            self.on_advance(factors.numel())
        return values

    def evaluate(self, epoch: int) -> None:
        """Evaluate on the validation split and keep the best weights where they are wanted."""
        if not self.active:
            return
        values = self.validation()
        tags = [tag if "/" in tag else f"{tag}/val" for tag in values[0]]
        self.record_all([dict(zip(tags, row.values(), strict=True)) for row in values])
        diverged: dict[int, Diverged] = {}
        for run, row in zip(self.active, values, strict=True):
            try:
                self.judge(run, epoch, row)
            except Diverged as bad:
                diverged[run] = bad
        self.end(diverged, diverged)

    def validation(self) -> list[dict[str, float]]:
        """Return loss, metrics and states of every active run on the validation split."""
        if self.objective.states is None:
            means = self.backend.evaluate(self.active, self.data.val).tolist()
            return [self.objective.shown(row) for row in means]
        values = []
        for member in (self.members[run] for run in self.active):
            with member.at_iterate():
                values.append(self.objective.evaluate(member.module, self.data.val))
        return values

    def judge(self, run: int, epoch: int, values: dict[str, float]) -> None:
        """Tell a run how it stands after an evaluation; see `Standing.judge`."""
        member, standing = self.members[run], self.standings[run]
        standing.outcome.updates = self.updates
        if self.diagnostics.dead_units:
            with member.at_iterate():
                self.record(run, self.measured[run].dead_units())
        is_best = standing.judge(epoch, values)
        if is_best and (standing.restores_best or self.keeps_best):
            with member.at_iterate():
                standing.best_weights = member.snapshot()

    def record(self, run: int, values: Mapping[str, float]) -> None:
        """Record values of the present update, where there are any."""
        if values:
            self.sink.log(run, self.updates, self.updates / self.updates_per_epoch, values)

    def record_all(self, found: Sequence[Mapping[str, float]]) -> None:
        """Record values of every active run at the present update; together where they can be."""
        tags = list(dict.fromkeys(tuple(values) for values in found))
        if len(tags) > 1:
            for run, values in zip(self.active, found, strict=True):
                self.record(run, values)
        elif tags and tags[0]:
            block = np.array([list(values.values()) for values in found])[:, None]
            epoch = self.updates / self.updates_per_epoch
            self.sink.log_block(self.active, [self.updates], [epoch], tags[0], block)

    def end(self, runs: Iterable[int], diverged: Mapping[int, Diverged] | None = None) -> None:
        """End runs at the present update, as diverged where their last window says so."""
        runs, why = list(runs), dict(diverged or {})
        why |= {run: found.diverged for run, found in self.windows.flush(runs).items()}
        for run in runs:
            self.standings[run].outcome.updates = self.updates
            if run in why:
                self.standings[run].end_diverged(why[run])
        self.leave(runs)

    def leave(self, runs: Sequence[int]) -> None:
        """Score runs, leave in their modules the weights to use, and go on without them."""
        if not runs:
            return
        for run in runs:
            outcome = self.standings[run].outcome
            outcome.train_s = float(self.train_s[run])
            outcome.epochs = outcome.updates / self.updates_per_epoch
        standings = {run: self.standings[run] for run in runs}
        self.ended |= settled(standings, self.backend, self.objective, self.data)
        if self.on_end is not None:
            for run in runs:
                self.on_end(run, standings[run].outcome)
        gone = set(runs)
        kept = [i for i, run in enumerate(self.active) if run not in gone]
        self.active = [self.active[i] for i in kept]
        if kept and self.updates:
            self.factors = self.factors[kept]
            self.rows = None if self.rows is None else self.rows[kept]
