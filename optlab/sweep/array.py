"""Trains some runs of a sweep together: one attempt, from their configurations to their results."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

import torch

from optlab.build import parts_of, resolve_device
from optlab.config import ConfigError, bind
from optlab.config.schema import LoggerConfig
from optlab.loggers.sweep_records import LoggedRun, SweepRecords
from optlab.plugins import import_plugins
from optlab.results import OUTCOME_FREE, RunResult, cell_hash, flatten
from optlab.seeding import global_stream
from optlab.sweep.engine import Engine
from optlab.sweep.files import put_configs, put_result, put_weights
from optlab.sweep.origin import Origin
from optlab.sweep.planned import PlannedRun
from optlab.sweep.progress import Progress, Watched
from optlab.train.native import Native
from optlab.train.parts import Parts
from optlab.train.stack import Backend, Member
from optlab.train.stack.ended import Ended
from optlab.train.stack.loop import StackTraining
from optlab.train.stack.sequential import Sequential
from optlab.train.stack.vmapped import Vmapped

Checkpoint = Literal["none", "last", "best"]


@dataclass(frozen=True)
class Means:
    """By what, and how, an array is trained.

    Attributes:
        engine: What trains the runs.
        reason: Why they are not stacked, where they are not.
        checkpoint: Weights that each run leaves in its folder.
        threads: Runs that compiled programs advance at once; None for one per core.
    """

    engine: Engine
    reason: str = ""
    checkpoint: Checkpoint = "none"
    threads: int | None = None


class Array:
    """Runs of one program that train together, once.

    A run that cannot be built fails, and the others train without it. Whatever else is raised ends
    all of them: who it was that raised it cannot be known.

    Args:
        runs: The runs; one where the engine is ``"single"``.
        means: By what they are trained.
        progress: Is told of it.
        beat: Called often, to leave a sign of life.
        like: Parts of a run of the same program, whose data are used again.

    Attributes:
        results: How runs ended, by number.
        like: Parts of a run, for other arrays of the program.
    """

    def __init__(
        self,
        runs: Sequence[PlannedRun],
        means: Means,
        progress: Progress,
        beat: Callable[[], None],
        like: Parts | None = None,
    ) -> None:
        self.runs, self.means, self.progress, self._beat = runs, means, progress, beat
        self.like = like
        self.results: dict[int, RunResult] = {}
        self._origin = Origin(len(runs))
        self._run_steps = 0

    def train(self) -> None:
        """Train the runs and write what they leave into their folders; then `results` is full."""
        put_configs(self.runs)
        import_plugins(self.runs[0].config["plugins"])
        device = str(resolve_device(self.runs[0].config["device"]))
        self._origin.device = device
        built = self._built(device)
        if built:
            # A model of others may draw from torch's global generator while it trains.
            with global_stream(self.runs[0].config["seed"], device, "training"):
                self._fit([run for run in self.runs if run.number in built], list(built.values()))
        self.write_results()

    def fail(self, error: Exception) -> None:
        """End the runs that have no result as failed."""
        self.end("failed", _cause(error))

    def end(self, status: Literal["failed", "interrupted"], cause: str) -> None:
        """Say of every run without a result why it has none."""
        for run in self.runs:
            if run.number not in self.results:
                self.results[run.number] = self._origin.without_scores(run, status, cause)
        self.write_results()

    def take_back(self) -> None:
        """Take back what progress was told: the runs will be trained again."""
        for run in self.runs:
            self.progress.begun_again(run.name)
        self.progress.advanced(-self._run_steps)

    def write_results(self) -> None:
        """Write ``result.json`` of every run that has ended."""
        folders = {run.number: run.folder for run in self.runs}
        for number, result in self.results.items():
            put_result(folders[number], result)

    def _built(self, device: str) -> dict[int, Parts]:
        """Return the parts of every run that can be built, by number."""
        built: dict[int, Parts] = {}
        for run in self.runs:
            try:
                with global_stream(run.config["seed"], device):
                    made = parts_of(run.config, run.chosen, self.like)
                self.like = built[run.number] = made
            except Exception as error:  # of a plugin's own code, too
                kind = "" if isinstance(error, ConfigError) else f"{type(error).__name__}: "
                self.results[run.number] = self._origin.without_scores(
                    run, "failed", f"{kind}{error}"
                )
        return built

    def _fit(self, runs: Sequence[PlannedRun], parts: Sequence[Parts]) -> None:
        torch.set_num_threads(parts[0].trainer.threads)
        backend = _backend(self.means, parts)
        keeps_best = self.means.checkpoint == "best"
        training = StackTraining(parts, backend, keeps_best=keeps_best)
        wanted = LoggerConfig(**bind(LoggerConfig, runs[0].config["logger"], "logger"))
        with closing(SweepRecords([_logged(run) for run in runs], wanted)) as records:
            names = [run.name for run in runs]
            watched = Watched(records, self.progress, names)
            ended = training.fit(
                watched, self._advanced, lambda i, end: self.progress.ended(names[i], end)
            )
            execution = self._execution(backend)
            for place, (run, part, end) in enumerate(zip(runs, parts, ended, strict=True)):
                self._leave_weights(run, backend.members[place], end)
                result = self._origin.result(run, part, end, execution)
                tested = {f"{name}/test": value for name, value in end.scores["test"].items()}
                records.log(place, result.updates, result.epochs, tested)
                records.finish(place, result)
                self.results[run.number] = result

    def _advanced(self, run_steps: int) -> None:
        self._run_steps += run_steps
        self.progress.advanced(run_steps)
        self._beat()

    def _execution(self, backend: Backend) -> str:
        reason = self.means.reason
        return f"{backend.execution} (not stacked: {reason})" if reason else backend.execution

    def _leave_weights(self, run: PlannedRun, member: Member, end: Ended) -> None:
        """Write the weights that were asked for; those in the module are the last ones."""
        if self.means.checkpoint == "none":
            return
        if self.means.checkpoint == "best" and end.best_weights is not None:
            member.restore(end.best_weights)
        put_weights(run.folder, member.module)


def _cause(error: Exception) -> str:
    """Return what a result says of an error: a user's mistake is told by its text alone."""
    return str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"


def _backend(means: Means, parts: Sequence[Parts]) -> Backend:
    """Return what executes the runs.

    Raises:
        NotNative, NotStackable: When they cannot be executed so.
    """
    if means.engine == "native":
        return Native(parts, means.threads)
    if means.engine == "single":
        return Sequential([part.run() for part in parts])
    return Vmapped(parts, is_compiled=means.engine == "compiled")


def _logged(run: PlannedRun) -> LoggedRun:
    """Return the run as its records name it: seeds of one cell share a row of hyperparameters."""
    shown = {k: v for k, v in run.config.items() if k not in OUTCOME_FREE | {"seed"}}
    return LoggedRun(run.folder, flatten(shown), cell_hash(run.config))
