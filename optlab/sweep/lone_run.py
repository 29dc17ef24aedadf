"""The training of one run in its folder, from its beginning or from its last checkpoint."""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from optlab.config import ConfigError, check_value
from optlab.diagnostics.model_summary import model_summary
from optlab.loggers.base import LostRecords
from optlab.loggers.console import Console
from optlab.results import RunResult, last_values, write_result
from optlab.saying import say, warn
from optlab.stopping import Stop
from optlab.sweep.files import put_weights
from optlab.sweep.resuming import origin_of, refusal
from optlab.sweep.run_folder import CHECKPOINTS
from optlab.sweep.run_loggers import RunLoggers
from optlab.train import Parts
from optlab.train.alone import backend_alone
from optlab.train.checkpoint import Checkpoints, Content
from optlab.train.judging import Judge
from optlab.train.keeper import Keeper, state_from
from optlab.train.stack.checkpointer import State
from optlab.train.stack.loop import StackTraining
from optlab.train.training import EachRecord
from optlab.types import NonNegative

if TYPE_CHECKING:
    from optlab.sweep.job import Job


class LoneRun:
    """A run that trains by itself.

    Args:
        job: The run's folder and configuration; it is told how far the run is.
        parts: What the run is made of.
        stop: Whether the training is to end after its present update.

    Raises:
        ConfigError: When the engine that was asked for does not take the run, or its checkpoints
            cannot be used.
    """

    def __init__(self, job: "Job", parts: Parts, stop: Stop) -> None:
        self.job, self.parts, self._stop = job, parts, stop
        self._backend = backend_alone(parts)
        self._checkpoints = Checkpoints(job.folder / CHECKPOINTS)
        self._origin = {**origin_of(self._backend.execution, [job.config]), "run": job.identity}
        self._start_s, self._judge = time.perf_counter(), Judge([parts])
        self._since = self._found()

    def train(self) -> RunResult:
        """Train, and write what the run leaves into its folder."""
        try:
            loggers = RunLoggers(self.job.folder, self.job.config, self._since.get("records"))
        except LostRecords as error:
            self._refuse([str(error)])
            self._since = {}
            loggers = RunLoggers(self.job.folder, self.job.config)
        with loggers:
            if not self._since:
                x = self.parts.data.train.x[:2]
                loggers.text("model", model_summary(self.parts.module, x))
            if loggers.has_console:
                console = Console() if self.job.alone else Console(max_lines=0)
                loggers.show(console, self.job.title(), self.parts.num_updates)
            result = self._fit(loggers)
        if self.job.alone:
            put_weights(self.job.folder, self.parts.module)
        write_result(self.job.folder, result)
        self._checkpoints.remove()
        return result

    def _fit(self, loggers: RunLoggers) -> RunResult:
        job = self.job

        def emit(update: int, epoch: float, values: Mapping[str, float]) -> None:
            job.progress = {"updates": update, "epochs": epoch}
            loggers.log(update, epoch, values)
            self._judge.log(0, update, epoch, values)

        every_s = check_value(job.config["checkpoint_s"], NonNegative | None, "checkpoint_s")
        keeper = Keeper(self._checkpoints, every_s, self._stop, lambda: self._beside(loggers))
        training = StackTraining([self.parts], self._backend)
        (ended,) = training.fit(
            *(EachRecord(emit), None, None, keeper, self._state(), loggers.histograms)
        )
        outcome, scores = ended.outcome, ended.scores
        job.progress = {"updates": outcome.updates, "epochs": outcome.epochs}
        result = job.result(
            status=outcome.status,
            cause=outcome.cause,
            best_epoch=outcome.best_epoch,
            training_s=outcome.train_s,
            row_gradients=self.parts.row_gradients(self._backend.members[0], outcome.updates),
            total_s=time.perf_counter() - self._start_s,
            verdicts=self._judge.verdicts(0, outcome),
            execution=self._backend.execution,
            **scores,
        )
        loggers.log(outcome.updates, outcome.epochs, last_values(result))
        loggers.draw(job.config, self.parts, outcome.updates, job.alone)
        loggers.finish(result)
        return result

    def _state(self) -> State | None:
        """Return how the run stands, once: it takes as much memory as the run does."""
        if not self._since:
            return None
        since, self._since = self._since, {}
        say(f"[optlab] {self.job.folder} goes on after update {since['updates']}")
        self._judge.load(since["judge"], [0])
        self._start_s -= since["elapsed_s"]
        self.job.started = datetime.fromisoformat(since["started"])
        return state_from(since)

    def _beside(self, loggers: RunLoggers) -> Content:
        """Return what a checkpoint holds beside the state."""
        return {
            "origin": self._origin,
            "records": loggers.position(),
            "judge": self._judge.state(),
            "elapsed_s": time.perf_counter() - self._start_s,
            "started": self.job.started.isoformat(),
        }

    def _found(self) -> Content:
        """Return the checkpoint to go on from, or nothing."""
        found, reasons = self._checkpoints.newest(self._refusal)
        if found is None:
            if reasons:
                self._refuse(reasons)
            return {}
        for reason in reasons:
            warn(f"[optlab] {reason}; the one before it is used")
        return found

    def _refusal(self, content: Content) -> str:
        reason = refusal(content, self._origin)
        is_other = not reason and content["origin"].get("run") != self._origin["run"]
        return "it is of another configuration" if is_other else reason

    def _refuse(self, reasons: list[str]) -> None:
        """Say why checkpoints cannot be used; alone, whoever waits for the run has to decide."""
        text = reasons[0] + (f" ({len(reasons) - 1} older likewise)" if reasons[1:] else "")
        if self.job.alone:
            raise ConfigError(
                f"this run cannot go on where it stopped: {text}; remove "
                f"{self._checkpoints.folder} to begin it anew"
            )
        warn(f"[optlab] {self.job.folder} begins anew: {text}")
        self._checkpoints.remove()
