"""What the results of an array's runs say: how each ended, where, when and by what."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from optlab.environment import recorded
from optlab.results import RunResult, Verdict
from optlab.sweep.planned import PlannedRun
from optlab.train.parts import Parts
from optlab.train.stack.backend import Member
from optlab.train.stack.ended import Ended


class Origin:
    """Makes the results of runs that begin together, now.

    Args:
        num_runs: How many they are. Their time is nobody's own, and each result has a share.

    Attributes:
        device: Where they are trained, ``"cpu"`` or ``"cuda:0"``.
        started: When they began.
        start_s: The same on the clock of durations, as if they had never stopped.
    """

    def __init__(self, num_runs: int) -> None:
        self.device = "cpu"
        self._num_runs = num_runs
        self._machine: dict[str, Any] = {}
        self.started, self.start_s = datetime.now(UTC), time.perf_counter()

    def go_on(self, started: str, elapsed_s: float) -> None:
        """Say that they had begun before, and had trained for so long."""
        self.started = datetime.fromisoformat(started)
        self.start_s -= elapsed_s

    def result(
        self,
        run: PlannedRun,
        part: Parts,
        member: Member,
        end: Ended,
        execution: str,
        verdicts: Sequence[Verdict] = (),
    ) -> RunResult:
        """Return the result of a run that was trained, by a backend of which it is a member."""
        outcome = end.outcome
        return RunResult(
            **self._origin(run),
            status=outcome.status,  # type: ignore[arg-type]
            cause=outcome.cause,
            updates=outcome.updates,
            epochs=outcome.epochs,
            best_epoch=outcome.best_epoch,
            train=dict(end.scores["train"]),
            val=dict(end.scores["val"]),
            test=dict(end.scores["test"]),
            training_s=outcome.train_s,
            row_gradients=part.row_gradients(member, outcome.updates),
            execution=execution,
            notes=dict(part.data.notes),
            verdicts=list(verdicts),
        )

    def without_scores(
        self, run: PlannedRun, status: Literal["failed", "interrupted"], cause: str
    ) -> RunResult:
        """Return the result of a run that did not come to its end."""
        return RunResult(
            **self._origin(run),
            status=status,
            cause=cause,
            updates=0,
            epochs=0.0,
            train={},
            val={},
            test={},
            training_s=0.0,
        )

    def _origin(self, run: PlannedRun) -> dict[str, Any]:
        seed = run.config["seed"]
        if not self._machine:
            self._machine = recorded(self.device, run.config["plugins"])
        return {
            **self._machine,
            "name": run.name,
            "config_hash": run.identity,
            "seed": seed if isinstance(seed, int) else None,
            "shared_by": self._num_runs,
            "started": self.started.isoformat(timespec="seconds"),
            "total_s": (time.perf_counter() - self.start_s) / self._num_runs,
        }
