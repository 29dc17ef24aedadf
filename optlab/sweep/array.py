"""Trains some runs of a sweep together: one attempt, from their configurations to their results."""

from collections.abc import Mapping
from contextlib import closing, suppress
from typing import Literal

import torch

from optlab.build import parts_of, resolve_device
from optlab.plugins import import_plugins
from optlab.results import RunResult, last_values
from optlab.seeding import global_stream
from optlab.stopping import Stop, listening
from optlab.sweep.array_checkpoints import ArrayCheckpoints, Start
from optlab.sweep.array_training import ArrayTraining
from optlab.sweep.cause import RUN_ERRORS, cause_of
from optlab.sweep.files import put_configs, put_result, put_weights
from optlab.sweep.ledger import Ledger
from optlab.sweep.means import Means
from optlab.sweep.origin import Origin
from optlab.sweep.planned import PlannedRun
from optlab.sweep.progress import Progress
from optlab.train.parts import Parts
from optlab.train.stack import Backend, Member
from optlab.train.stack.ended import Ended


class Array:
    """Runs of one program that train together, once.

    A run that cannot be built fails, and the others train without it. Whatever else is raised ends
    all of them: who it was that raised it cannot be known.

    Args:
        start: The runs, and where they begin; one where the engine is ``"single"``.
        checkpoints: Where those of the sweep's arrays lie.
        means: By what they are trained.
        progress: Is told of it.
        ledger: Is given signs of life.
        like: Parts of a run of the same program, whose data are used again.

    Attributes:
        results: How runs ended, by number.
        like: Parts of a run, for other arrays of the program.
    """

    def __init__(
        self,
        start: Start,
        checkpoints: ArrayCheckpoints,
        means: Means,
        progress: Progress,
        ledger: Ledger,
        like: Parts | None = None,
    ) -> None:
        self._start, self._checkpoints, self.runs = start, checkpoints, start.runs
        self.means, self.progress, self._ledger, self.like = means, progress, ledger, like
        self.results: dict[int, RunResult] = {}
        self._origin = Origin(len(self.runs))
        self._run_steps = 0

    def train(self) -> None:
        """Train the runs and write what they leave into their folders; then `results` is full."""
        put_configs(self.runs)
        import_plugins(self.runs[0].config["plugins"])
        device = str(resolve_device(self.runs[0].config["device"]))
        self._origin.device = device
        built = self._built(device)
        with listening() as stop:
            if built:
                # A model of others may draw from torch's global generator while it trains.
                with global_stream(self.runs[0].config["seed"], device, "training"):
                    self._fit(built, stop)
            self.write_results()
        self._checkpoints.of(self._start.only(built).runs).remove()
        stop.end_if_asked()  # what came too late for a checkpoint

    def end(self, status: Literal["failed", "interrupted"], cause: str) -> None:
        """Say of every run without a result why it has none."""
        for run in self.runs:
            if run.number not in self.results:
                result = self._origin.without_scores(run, status, cause)
                self.results[run.number] = result
                with suppress(OSError):  # it may be the folder that failed; the ledger gets it
                    put_result(run.folder, result)

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
            except RUN_ERRORS as error:
                result = self._origin.without_scores(run, "failed", cause_of(error))
                self.results[run.number] = result
        return built

    def _fit(self, built: Mapping[int, Parts], stop: Stop) -> None:
        start, parts = self._start.only(built), list(built.values())
        torch.set_num_threads(parts[0].trainer.threads)
        keeps = self._checkpoints, self._ledger
        training = ArrayTraining(start, *keeps, parts, self.means, self._origin)
        with closing(training.records()) as records:
            ended = training.fit(records, stop, self.progress, self._advanced)
            training.draw(records, ended)
            backend, judge = training.backend, training.judge
            execution = self._execution(backend)
            results: dict[int, RunResult] = {}
            for place, (run, part, end) in enumerate(zip(start.runs, parts, ended, strict=True)):
                member, verdicts = backend.members[place], judge.verdicts(place, end.outcome)
                self._leave_weights(run, member, end)
                result = self._origin.result(run, part, member, end, execution, verdicts)
                records.log(place, result.updates, result.epochs, last_values(result))
                records.finish(place, result)
                results[run.number] = result
        self.results |= results  # their records are written

    def _advanced(self, run_steps: int) -> None:
        self._run_steps += run_steps
        self.progress.advanced(run_steps)
        self._ledger.beat()

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
