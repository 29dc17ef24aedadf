"""The training of an array's runs, from their beginning or from where they stopped."""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from optlab.config import bind
from optlab.config.schema import LoggerConfig
from optlab.diagnostics.model_summary import model_summary
from optlab.identity import OUTCOME_FREE, cell_hash, flatten
from optlab.loggers.base import LostRecords
from optlab.loggers.sweep_events import LoggedRun
from optlab.loggers.sweep_records import SweepRecords
from optlab.saying import say, warn
from optlab.stopping import Stop
from optlab.sweep.array_checkpoints import ArrayCheckpoints, Start
from optlab.sweep.ledger import Ledger
from optlab.sweep.means import Means, backend_of
from optlab.sweep.origin import Origin
from optlab.sweep.planned import PlannedRun
from optlab.sweep.progress import Progress, Watched
from optlab.sweep.resuming import origin_of, refusal
from optlab.train.checkpoint import Content
from optlab.train.judging import Judge
from optlab.train.keeper import Keeper, state_from
from optlab.train.parts import Parts
from optlab.train.stack.checkpointer import State
from optlab.train.stack.ended import Ended
from optlab.train.stack.loop import StackTraining
from optlab.train.stack.sink import Both


class ArrayTraining:
    """Runs that can be built, and what trains them.

    Args:
        start: The runs, and where they begin.
        checkpoints: Those of the sweep's arrays.
        ledger: Is told when the runs have come further.
        parts: What they are made of.
        means: By what they are trained.
        origin: When they began; a checkpoint may know better.

    Attributes:
        backend: What executes the runs.
        judge: Says what went wrong inside them.

    Raises:
        NotNative, NotStackable: When they cannot be executed as ``means`` says.
    """

    def __init__(
        self,
        start: Start,
        checkpoints: ArrayCheckpoints,
        ledger: Ledger,
        parts: Sequence[Parts],
        means: Means,
        origin: Origin,
    ) -> None:
        self._runs, self._parts, self._means = start.runs, parts, means
        self._checkpoints, self._ledger = checkpoints, ledger
        self._origin, self.judge = origin, Judge(parts)
        self._models: dict[Hashable, str] = {}
        self.backend = backend_of(means, parts)
        keeps = "best" if means.checkpoint == "best" else "last"
        configs = [run.config for run in start.runs]
        self._made_by = {**origin_of(self.backend.execution, configs), "weights": keeps}
        self._places, self._since = start.places, self._found(start)

    def records(self) -> SweepRecords:
        """Open what takes the runs' records."""
        wanted = LoggerConfig(**bind(LoggerConfig, self._runs[0].config["logger"], "logger"))
        pairs = zip(self._runs, self._parts, strict=True)
        runs = [self._logged(run, part, wanted.tensorboard) for run, part in pairs]
        try:
            return SweepRecords(runs, wanted, self._since.get("records"))
        except LostRecords as error:
            self._begin_anew(str(error))
            return SweepRecords(runs, wanted)

    def fit(
        self,
        records: SweepRecords,
        stop: Stop,
        progress: Progress,
        on_advance: Callable[[int], None],
    ) -> list[Ended]:
        """Train the runs, and return how each ended.

        Raises:
            KeyboardInterrupt: When somebody wants it to stop; how far it is has been kept.
        """

        def beside() -> Content:
            self._checkpoints.note(self._runs)
            self._ledger.came_further(run.number for run in self._runs)
            return self._beside(records)

        every_s = self._runs[0].config["checkpoint_s"]
        names = [run.name for run in self._runs]
        keeps_best = self._means.checkpoint == "best"
        return StackTraining(self._parts, self.backend, keeps_best=keeps_best).fit(
            Both(Watched(records, progress, names), self.judge),
            on_advance,
            lambda run, outcome: progress.ended(names[run], outcome),
            Keeper(self._checkpoints.of(self._runs), every_s, stop, beside),
            self._state(),
            records.histograms,
        )

    def draw(self, records: SweepRecords, ended: Sequence[Ended]) -> None:
        """Draw the runs, which have ended, where the configuration says that those of sweeps do."""
        if self._runs[0].config["logger"]["figures"] is not True:
            return
        from optlab.sweep.run_figures import run_figures  # imports matplotlib

        records.flush()  # the table is read
        for place, (run, part, end) in enumerate(zip(self._runs, self._parts, ended, strict=True)):
            drawn = run_figures(run.config, part, run.folder)
            records.draw(place, end.outcome.updates, drawn.pictures, drawn.texts)

    def _logged(self, run: PlannedRun, part: Parts, has_events: bool) -> LoggedRun:
        """Return the run as its records name it: seeds of a cell share a row of hyperparameters."""
        shown = {k: v for k, v in run.config.items() if k not in OUTCOME_FREE | {"seed"}}
        has_events &= self._means.shown is None or run.number in self._means.shown
        texts = {"model": self._model(part)} if has_events else {}
        return LoggedRun(run.folder, flatten(shown), cell_hash(run.config), has_events, texts)

    def _model(self, part: Parts) -> str:
        """Return the summary of a run's model: of an array's runs, most have the same."""
        kinds = tuple((name, type(module)) for name, module in part.module.named_modules())
        if kinds not in self._models:
            self._models[kinds] = model_summary(part.module, part.data.train.x[:2])
        return self._models[kinds]

    def _state(self) -> State | None:
        """Return how the runs stand, once: it takes as much memory as they do."""
        if not self._since:
            return None
        since, self._since = self._since, {}
        self.judge.load(since["judge"], self._places)
        self._origin.go_on(since["started"], since["elapsed_s"])
        say(f"{_count(self._runs)} on after update {since['updates']}")
        return state_from(since).of(list(self._places))

    def _beside(self, records: SweepRecords) -> Mapping[str, Any]:
        """Return what a checkpoint holds beside the state of the runs."""
        return {
            "origin": self._made_by,
            "records": records.position(),
            "judge": self.judge.state(),
            "started": self._origin.started.isoformat(),
            "elapsed_s": time.perf_counter() - self._origin.start_s,
        }

    def _found(self, start: Start) -> Content:
        """Return the checkpoint to go on from, or nothing."""
        if start.checkpoints is None:
            return {}
        found, reasons = start.checkpoints.newest(lambda content: refusal(content, self._made_by))
        if found is None:
            self._begin_anew(reasons[0] if reasons else "there is none")
            return {}
        for reason in reasons:
            warn(f"[optlab] {reason}; the one before it is used")
        return found

    def _begin_anew(self, reason: str) -> None:
        warn(f"[optlab] {_count(self._runs, 'begin')} anew, not from a checkpoint: {reason}")
        self._since = {}
        self._checkpoints.of(self._runs).remove()  # newer ones would stand for the last two


def _count(runs: Sequence[PlannedRun], verb: str = "go") -> str:
    """Return such as "3 runs go" or the name of the only one."""
    if len(runs) > 1:
        return f"{len(runs)} runs {verb}"
    return f"{runs[0].name} {'goes' if verb == 'go' else f'{verb}s'}"
