"""Progress of a run for a person: a live bar on a terminal, a few plain lines anywhere else."""

import math
import time
from collections.abc import Mapping

from rich.console import Console as Terminal
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from optlab.loggers.base import TRAIN_LOSS, VAL_ACCURACY, VAL_LOSS
from optlab.results import RunResult
from optlab.types import Natural

SHOWN = {TRAIN_LOSS: "train loss", VAL_LOSS: "val loss", VAL_ACCURACY: "val accuracy"}
REFRESH_S = 0.1  # between redraws of the bar
QUIET_S = 10.0  # after which a line need not wait for an evaluation


class Console:
    """Shows epoch, losses, validation accuracy and speed.

    A record costs about a microsecond: on a terminal the bar is redrawn ten times a second, and
    elsewhere a few lines appear per run, after evaluations.

    Args:
        terminal: Where to print; standard output unless given.
        max_lines: Lines of a run on its way where there is no terminal; 0 leaves only the line of
            `finish`. With hundreds of runs one line each is what can be read.
    """

    def __init__(self, terminal: Terminal | None = None, max_lines: Natural = 10) -> None:
        self._terminal = terminal or Terminal()
        self._max_lines = max_lines
        self._latest: dict[str, float] = {}
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._title, self._num_updates = "run", 0

    def start(self, title: str, num_updates: int) -> None:
        """Announce a run of ``num_updates`` updates."""
        self._title, self._num_updates = title, num_updates
        self._rate_from: tuple[float, int] | None = None
        self._next_redraw = 0.0
        self._last_line_s = time.perf_counter()
        self._line_every = num_updates / self._max_lines if self._max_lines else math.inf
        self._next_line = self._line_every
        if self._terminal.is_terminal:
            self._progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=20),
                TextColumn("{task.fields[state]}", markup=False),
                TimeRemainingColumn(compact=True),
                console=self._terminal,
                transient=True,
            )
            self._task = self._progress.add_task(title, total=num_updates, state="")
            self._progress.start()

    def log(self, update: int, epoch: float, values: Mapping[str, float]) -> None:
        """Keep the values, and show them when it is time."""
        self._latest.update(values)
        if self._rate_from is None:
            # Not from `start`: compiling and the first evaluation are no updates.
            self._rate_from = (time.perf_counter(), update)
        if self._progress is not None:
            if time.perf_counter() >= self._next_redraw:
                self._next_redraw = time.perf_counter() + REFRESH_S
                state = self._state(update, epoch)
                self._progress.update(self._task, completed=update, state=state)
        elif update >= self._next_line:
            now = time.perf_counter()
            if VAL_LOSS in values or now >= self._last_line_s + QUIET_S:
                self._last_line_s, self._next_line = now, update + self._line_every
                self._print(f"update {update}/{self._num_updates}, {self._state(update, epoch)}")

    def text(self, tag: str, markdown: str) -> None:
        """Show nothing: texts are for a page."""

    def finish(self, result: RunResult) -> None:
        """Print one line that says how the run ended."""
        self._stop()
        scores = [
            f"{split} {name} {value:.4g}"
            for split, values in (("val", result.val), ("test", result.test))
            for name, value in values.items()
            if "/" not in name  # loss and metrics, no coordinates of a point
        ]
        cause = f" ({result.cause})" if result.cause else ""
        ending = f"{result.status}{cause} after {result.updates} updates in {result.total_s:.1f} s"
        self._print(", ".join([ending, *scores]))

    def close(self) -> None:
        """Take the bar away."""
        self._stop()

    def _state(self, update: int, epoch: float) -> str:
        """Return "epoch 3, train loss 0.12, ..., 5300 updates/s" from the latest values."""
        parts = [f"epoch {epoch:.3g}"]
        parts += [f"{SHOWN[t]} {self._latest[t]:.4g}" for t in SHOWN if t in self._latest]
        if self._rate_from is not None and update > self._rate_from[1]:
            seconds = time.perf_counter() - self._rate_from[0]
            parts.append(f"{(update - self._rate_from[1]) / max(seconds, 1e-9):.0f} updates/s")
        return ", ".join(parts)

    def _print(self, line: str) -> None:
        self._terminal.print(
            f"{self._title}: {line}", markup=False, highlight=False, soft_wrap=True
        )

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
