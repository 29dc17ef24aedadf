"""Progress of a run for a person: a live bar on a terminal, a few plain lines anywhere else."""

import math
import time
from collections.abc import Mapping

from rich.console import Console as Terminal
from rich.live import Live
from rich.table import Table

from optlab.loggers.base import TRAIN_LOSS, VAL_ACCURACY, VAL_LOSS
from optlab.loggers.live_line import bar_line, clock
from optlab.loggers.terminal import print_line, progress_terminal, result_terminal
from optlab.results import RunResult
from optlab.types import Natural

SHOWN = {TRAIN_LOSS: "train loss", VAL_LOSS: "val loss", VAL_ACCURACY: "val accuracy"}
REFRESH_S = 0.1  # between redraws of the bar
QUIET_S = 10.0  # after which a line need not wait for an evaluation
MAX_VERDICTS = 4  # on one run; result.json has them all


class Console:
    """Shows epoch, losses, validation accuracy, speed and the time that is left.

    A record costs about a microsecond: on a terminal the bar is redrawn ten times a second, and
    elsewhere, also on a terminal without cursor control (``TERM=dumb``), a few lines appear per
    run, after evaluations.

    Args:
        terminal: Where to print; unless given, progress on standard error and the end on standard
            output.
        max_lines: Lines of a run on its way where there is no live bar; 0 leaves only the line of
            `finish`. With hundreds of runs one line each is what can be read.
    """

    def __init__(self, terminal: Terminal | None = None, max_lines: Natural = 10) -> None:
        self._terminal = terminal or progress_terminal()
        self._results = terminal or result_terminal()
        self._max_lines = max_lines
        self._latest: dict[str, float] = {}
        self._live: Live | None = None
        self._title, self._num_updates = "run", 0

    def start(self, title: str, num_updates: int) -> None:
        """Announce a run of ``num_updates`` updates."""
        self._title, self._num_updates = title, num_updates
        self._rate_from: tuple[float, int] | None = None
        self._next_redraw = 0.0
        self._last_line_s = time.perf_counter()
        self._line_every = num_updates / self._max_lines if self._max_lines else math.inf
        self._next_line = self._line_every
        if self._terminal.is_terminal and not self._terminal.is_dumb_terminal:
            line = self._bar_line(0, 0.0)
            self._live = Live(line, console=self._terminal, transient=True, auto_refresh=False)
            self._live.start(refresh=True)

    def log(self, update: int, epoch: float, values: Mapping[str, float]) -> None:
        """Keep the values, and show them when it is time."""
        self._latest.update(values)
        if self._rate_from is None:
            # Not from `start`: compiling and the first evaluation are no updates.
            self._rate_from = (time.perf_counter(), update)
        if self._live is not None:
            if time.perf_counter() >= self._next_redraw:
                self._next_redraw = time.perf_counter() + REFRESH_S
                self._live.update(self._bar_line(update, epoch), refresh=True)
        elif update >= self._next_line:
            now = time.perf_counter()
            if VAL_LOSS in values or now >= self._last_line_s + QUIET_S:
                self._last_line_s, self._next_line = now, update + self._line_every
                state = ", ".join(self._state(update, epoch).values())
                self._say(f"update {update}/{self._num_updates}, {state}")

    def text(self, tag: str, markdown: str) -> None:
        """Show nothing: texts are for a page."""

    def finish(self, result: RunResult) -> None:
        """Print one line that says how the run ended, and some on what went wrong inside it."""
        self._stop()
        scores = [
            f"{split} {name} {value:.4g}"
            for split, values in (("val", result.val), ("test", result.test))
            for name, value in values.items()
            if "/" not in name  # loss and metrics, no coordinates of a point
        ]
        cause = f" ({result.cause})" if result.cause else ""
        updates = "1 update" if result.updates == 1 else f"{result.updates} updates"
        ending = f"{result.status}{cause} after {updates} in {result.total_s:.1f} s"
        self._tell(", ".join([ending, *scores]))
        if self._max_lines:
            self._print_verdicts(result)

    def close(self) -> None:
        """Take the bar away."""
        self._stop()

    def _print_verdicts(self, result: RunResult) -> None:
        for verdict in result.verdicts[:MAX_VERDICTS]:
            self._tell(f"{verdict.name}: {verdict.sentence}")
        if (more := len(result.verdicts) - MAX_VERDICTS) > 0:
            self._tell(f"and {more} more: see result.json")

    def _state(self, update: int, epoch: float) -> dict[str, str]:
        """Return what is known, in the order in which it is shown, such as "val loss 0.12"."""
        state = {"epoch": f"epoch {_plain(epoch)}"}
        state |= {
            tag: f"{SHOWN[tag]} {self._latest[tag]:.4g}" for tag in SHOWN if tag in self._latest
        }
        if rate := self._rate(update):
            state["rate"] = f"{rate:.0f} updates/s" if rate >= 10 else f"{rate:.2g} updates/s"
        return state

    def _rate(self, update: int) -> float:
        """Return updates per second, 0 where that is not known yet."""
        if self._rate_from is None or update <= self._rate_from[1]:
            return 0.0
        return (update - self._rate_from[1]) / max(time.perf_counter() - self._rate_from[0], 1e-9)

    def _bar_line(self, update: int, epoch: float) -> Table:
        """Return the live line at the terminal's present width."""
        state = self._state(update, epoch)
        if rate := self._rate(update):
            state["left"] = f"{clock((self._num_updates - update) / rate)} left"
        score = VAL_ACCURACY if VAL_ACCURACY in state else VAL_LOSS
        important = ("epoch", score, "rate", "left")
        width = self._terminal.width
        return bar_line(width, self._title, update, self._num_updates, state, important)

    def _say(self, line: str) -> None:
        print_line(self._terminal, f"{self._title}: {line}")

    def _tell(self, line: str) -> None:
        print_line(self._results, f"{self._title}: {line}")

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def _plain(epoch: float) -> str:
    """Return "0.25", "12.5", "1800": never an exponent."""
    return f"{epoch:.0f}" if epoch >= 100 else f"{epoch:.2f}".rstrip("0").rstrip(".")
