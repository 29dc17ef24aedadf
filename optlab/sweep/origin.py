"""What the results of an array's runs say: how each ended, where, when and by what."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal

from optlab.environment import environment
from optlab.results import RunResult
from optlab.sweep.planned import PlannedRun
from optlab.train.parts import Parts
from optlab.train.stack.ended import Ended


class Origin:
    """Makes the results of runs that begin together, now.

    Args:
        num_runs: How many they are. Their time is nobody's own, and each result has a share.

    Attributes:
        device: Where they are trained, ``"cpu"`` or ``"cuda:0"``.
    """

    def __init__(self, num_runs: int) -> None:
        self.device = "cpu"
        self._num_runs = num_runs
        self._started, self._start_s = datetime.now(UTC), time.perf_counter()

    def result(self, run: PlannedRun, part: Parts, end: Ended, execution: str) -> RunResult:
        """Return the result of a run that was trained."""
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
            execution=execution,
            notes=dict(part.data.notes),
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
        seed, machine = run.config["seed"], self._machine
        return {
            "name": run.name,
            "config_hash": run.identity,
            "seed": seed if isinstance(seed, int) else None,
            "device": machine["device"],
            "versions": machine["versions"],
            "commit": machine["commit"],
            "dirty": machine["dirty"],
            "started": self._started.isoformat(timespec="seconds"),
            "total_s": (time.perf_counter() - self._start_s) / self._num_runs,
        }

    @cached_property
    def _machine(self) -> Mapping[str, Any]:
        return environment(self.device)
