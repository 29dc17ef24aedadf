"""What is known of every run of a stack while it trains."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from optlab.train.course import Course
from optlab.train.measurements import Measurements
from optlab.train.stack.backend import Backend
from optlab.train.stack.ended import Ended, settled
from optlab.train.standing import Standing


class Runs:
    """The runs of a stack: how each stands, and who is still training.

    Args:
        courses: How each is to be trained.
        backend: Executes them, in the same order.
        keeps_best: Whether to keep every run's best weights, also where it does not end with them.

    Attributes:
        members: The runs themselves.
        standings: How each stands.
        measured: What looks into each.
        train_s: Seconds of training that each had a share of, (R,).
        active: Numbers of those that still train, ascending.
        ended: How the others ended, by number.
    """

    def __init__(
        self, courses: Sequence[Course], backend: Backend, keeps_best: bool = False
    ) -> None:
        self._courses, self._backend, self._keeps_best = courses, backend, keeps_best
        self.members = backend.members
        self.standings = [Standing(course.trainer) for course in courses]
        looks = getattr(backend, "looks", None) or [None] * len(self.members)
        self.measured = [
            Measurements(member, course.data, course.diagnostics, look)
            for member, course, look in zip(self.members, courses, looks, strict=True)
        ]
        self.train_s = np.zeros(len(courses))
        self.active = list(range(len(courses)))
        self.ended: dict[int, Ended] = {}

    def validation(self) -> list[dict[str, float]]:
        """Return loss, metrics and states of every active run on the validation split."""
        first = self._courses[0]
        objective, split = first.objective, first.data.val
        if objective.states is None:
            means = self._backend.evaluate(self.active, split).tolist()
            return [objective.shown(row) for row in means]
        values = []
        for member in (self.members[run] for run in self.active):
            with member.at_iterate():
                values.append(objective.evaluate(member.module, split))
        return values

    def dead_units(self, run: int) -> dict[str, float]:
        """Return the share of dead units of a run at its iterate, where it is wanted."""
        if not self._courses[run].diagnostics.dead_units:
            return {}
        with self.members[run].at_iterate():
            return self.measured[run].dead_units()

    def where_it_broke(self, run: int) -> dict[str, float]:
        """Return where NaN or infinity stands in a run that has diverged, and nothing of others."""
        if self.standings[run].outcome.status != "diverged":
            return {}
        return self.measured[run].where_it_broke()

    def judge(self, run: int, epoch: int, updates: int, values: dict[str, float]) -> None:
        """Tell a run how it stands after an evaluation, and keep weights; see `Standing.judge`."""
        member, standing = self.members[run], self.standings[run]
        standing.outcome.updates = updates
        is_best = standing.judge(epoch, values)
        if is_best and (standing.restores_best or self._keeps_best):
            with member.at_iterate():
                standing.best_weights = member.snapshot()

    def leave(self, runs: Sequence[int]) -> list[int]:
        """Score runs, leave in their modules the weights to use, and go on without them.

        Returns:
            Places in `active`, as it was, of those that are still there.
        """
        first = self._courses[0]
        for run in runs:
            outcome = self.standings[run].outcome
            outcome.train_s = float(self.train_s[run])
            outcome.epochs = outcome.updates / first.sampler.updates_per_epoch
        standings = {run: self.standings[run] for run in runs}
        self.ended |= settled(standings, self._backend, first.objective, first.data)
        gone = set(runs)
        kept = [place for place, run in enumerate(self.active) if run not in gone]
        self.active = [self.active[place] for place in kept]
        return kept

    def state(self, run: int) -> dict[str, Any]:
        """Return all that `load` needs to go on with a run: tensors, numbers and texts."""
        ended = self.ended.get(run)
        return {
            "member": self.members[run].state(),
            "standing": self.standings[run].state(),
            "measured": self.measured[run].state(),
            "train_s": float(self.train_s[run]),
            "scores": None if ended is None else {k: dict(v) for k, v in ended.scores.items()},
        }

    def load(self, run: int, state: dict[str, Any]) -> None:
        """Put a run where it stood when `state` was asked."""
        self.members[run].load(state["member"])
        self.standings[run].load(state["standing"])
        self.measured[run].load(state["measured"])
        self.train_s[run] = state["train_s"]
        if state["scores"] is not None:
            standing = self.standings[run]
            self.ended[run] = Ended(standing.outcome, state["scores"], standing.best_weights)
            self.active.remove(run)
