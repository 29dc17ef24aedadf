"""How far a sweep is, for a person: a live bar on a terminal, a few plain lines anywhere else."""

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console as Terminal
from rich.live import Live
from rich.table import Table

from optlab.loggers.base import VAL_ACCURACY, VAL_LOSS
from optlab.loggers.live_line import bar_line, clock, cut
from optlab.loggers.terminal import print_line, progress_terminal
from optlab.results import RunResult

if TYPE_CHECKING:
    from optlab.train.stack.sink import Sink
    from optlab.train.standing import Outcome

TITLE = "sweep"
REFRESH_S = 0.1  # between redraws of the bar
MAX_LINES = 10  # on the way, where there is no live bar
SHORTEST_NAME, LONGEST_NAME = 12, 40  # of the best run, in characters
WITHOUT_NAME = 100  # characters that all else in the live line may take
IMPORTANT = ("runs", "left", "rate", "best", "programs")
BETTER = {VAL_ACCURACY: 1.0, VAL_LOSS: -1.0}  # the sign with which more of it is better
ENDS = ("done", "stopped early", "diverged", "failed", "interrupted")


class Progress:
    """Shows programs, runs by state, run-steps per second, the best run so far and the time left.

    A call costs microseconds: the bar is redrawn at most ten times a second. A run has no line of
    its own unless it failed; `close` leaves one line about all.

    Args:
        terminal: Where to print; standard error unless given.
        is_quiet: Whether to tell of runs that fail and of nothing else.
    """

    def __init__(self, terminal: Terminal | None = None, *, is_quiet: bool = False) -> None:
        self._terminal, self._is_quiet = terminal or progress_terminal(), is_quiet
        self._live: Live | None = None
        self._programs = [0, 0]  # ended, all
        self._updates: Mapping[str, int] = {}
        self._alive: set[str] = set()
        self._ended: dict[str, tuple[str, int]] = {}  # how, and updates that were not made
        self._run_steps = self._all_run_steps = 0
        self._best: dict[str, tuple[float, str]] = {}
        self._start_s = self._next_redraw_s = time.perf_counter()
        self._rate_from: tuple[float, int] | None = None
        self._next_line = math.inf
        self._closed = False

    def start(self, programs: int, updates: Mapping[str, int]) -> None:
        """Announce a sweep.

        Args:
            programs: Number of programs.
            updates: Updates of each run's whole training, by the run's name.
        """
        self._programs, self._updates = [0, programs], updates
        self._all_run_steps = sum(updates.values())
        self._start_s = time.perf_counter()
        if self._is_quiet:
            return
        self._next_line = self._all_run_steps / MAX_LINES
        if self._terminal.is_terminal and not self._terminal.is_dumb_terminal:
            line = self._bar_line()
            self._live = Live(line, console=self._terminal, transient=True, auto_refresh=False)
            self._live.start(refresh=True)

    def advanced(self, run_steps: int) -> None:
        """Count updates, of all runs together; less than 0 for those of a stack begun again."""
        self._run_steps += run_steps
        self._start_clock()
        self._show()

    def evaluated(self, run: str, values: Mapping[str, float]) -> None:
        """Take values of a run by tag; see `evaluated_together`."""
        self.evaluated_together([run], list(values), np.array([[*values.values()]]))

    def evaluated_together(
        self, runs: Sequence[str], tags: Sequence[str], values: np.ndarray
    ) -> None:
        """Take evaluations; from its first one to its end a run is alive.

        Args:
            runs: Names of the runs, (A).
            tags: Names of the values, (T).
            values: The values, (A, T).
        """
        self._start_clock()
        self._alive.update(runs)
        for tag, sign in BETTER.items():
            if tag in tags:
                scores = sign * values[:, tags.index(tag)]
                best = int(np.argmax(np.where(np.isfinite(scores), scores, -np.inf)))
                if scores[best] > self._best.get(tag, (-math.inf, ""))[0]:
                    self._best[tag] = float(scores[best]), runs[best]
        self._show()

    def ended(self, run: str, end: "RunResult | Outcome") -> None:
        """Count a run by how it ended, and say why if it failed; what is told last counts."""
        self.begun_again(run)
        stopped = end.status == "done" and end.cause is not None
        left_out = max(self._updates.get(run, 0) - end.updates, 0)
        self._ended[run] = "stopped early" if stopped else end.status, left_out
        self._all_run_steps -= left_out
        if end.status == "failed":
            self._print(f"{run}: failed: {end.cause}")
        self._show()

    def begun_again(self, run: str) -> None:
        """Forget that a run was alive or ended; for its updates see `advanced`."""
        self._alive.discard(run)
        self._all_run_steps += self._ended.pop(run, ("", 0))[1]

    def program_ended(self) -> None:
        """Count a program."""
        self._programs[0] += 1
        self._show()

    def close(self) -> None:
        """Take the bar away and print one line about the sweep; again it does nothing."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        if self._updates and not (self._closed or self._is_quiet):
            self._print(f"{TITLE}: {self._summary()}")
        self._closed = True

    def _start_clock(self) -> None:
        if self._rate_from is None:
            # Not from `start`: compiling is no update. Nor from before the first that are told of.
            self._rate_from = (time.perf_counter(), self._run_steps)

    def _show(self) -> None:
        """Show how things stand, when it is time."""
        if self._live is not None:
            if (now := time.perf_counter()) >= self._next_redraw_s:
                self._next_redraw_s = now + REFRESH_S
                self._live.update(self._bar_line(), refresh=True)
        elif self._run_steps >= self._next_line:
            self._next_line = self._run_steps + self._all_run_steps / MAX_LINES
            share = f"{self._run_steps / max(self._all_run_steps, 1):.0%}"
            self._print(f"{TITLE}: {', '.join([share, *self._state().values()])}")

    def _state(self, name_length: int = LONGEST_NAME) -> dict[str, str]:
        """Return what is known, in the order in which it is shown."""
        ended, programs = self._programs
        state = {"programs": f"{ended}/{programs} programs", "runs": self._runs()}
        if rate := self._rate():
            state["rate"] = f"{_short(rate)} run-steps/s"
        if best := self._best_run(name_length):
            state["best"] = best
        if rate:
            left = max(self._all_run_steps - self._run_steps, 0)
            state["left"] = f"{clock(left / rate)} left"
        return state

    def _runs(self) -> str:
        alive = [f"{len(self._alive)} alive"] if self._alive else []
        counts = Counter(end for end, _ in self._ended.values())
        ends = [f"{counts[end]} {end}" for end in ENDS if counts[end]]
        return ", ".join([*alive, *ends]) or f"{len(self._updates)} runs"

    def _rate(self) -> float:
        """Return run-steps per second, 0 where that is not known yet."""
        if self._rate_from is None or self._run_steps <= self._rate_from[1]:
            return 0.0
        elapsed = time.perf_counter() - self._rate_from[0]
        return (self._run_steps - self._rate_from[1]) / max(elapsed, 1e-9)

    def _best_run(self, length: int) -> str:
        """Return score and name of the best run; an accuracy says more than a loss.

        The name is cut to ``length`` characters, and left out where that is too short.
        """
        for tag, sign in BETTER.items():
            if tag in self._best:
                score, run = self._best[tag]
                shown = f" ({cut(run, length)})" if length >= SHORTEST_NAME else ""
                return f"best val {tag.partition('/')[0]} {sign * score:.4g}{shown}"
        return ""

    def _bar_line(self) -> Table:
        done = min(self._run_steps, self._all_run_steps)
        width = self._terminal.width
        state = self._state(min(width - WITHOUT_NAME, LONGEST_NAME))
        return bar_line(width, TITLE, done, self._all_run_steps, state, IMPORTANT)

    def _summary(self) -> str:
        runs, ended = len(self._updates), len(self._ended)
        programs = f"{self._programs[0]} of {self._programs[1]} programs"
        parts = [f"{ended} of {runs} runs ({self._runs()})", programs]
        parts.append(
            f"{self._run_steps:,} run-steps in {time.perf_counter() - self._start_s:.1f} s"
        )
        parts += [f"{_short(rate)}/s"] if (rate := self._rate()) else []
        parts += [best] if (best := self._best_run(10_000)) else []
        return ", ".join(parts)

    def _print(self, line: str) -> None:
        print_line(self._terminal, line)


class Watched:
    """A sink that shows a stack's evaluations and passes all records on.

    Args:
        sink: Takes the records.
        progress: Takes the evaluations.
        names: Names of the runs, in the order of the stack.
    """

    def __init__(self, sink: "Sink", progress: Progress, names: Sequence[str]) -> None:
        self._sink, self._progress, self._names = sink, progress, names

    def log(self, run: int, update: int, epoch: float, values: Mapping[str, float]) -> None:
        """Pass values of one run on."""
        self._sink.log(run, update, epoch, values)
        if VAL_LOSS in values:
            self._progress.evaluated(self._names[run], values)

    def log_block(
        self,
        runs: Sequence[int],
        updates: Sequence[int],
        epochs: Sequence[float],
        tags: Sequence[str],
        values: np.ndarray,
    ) -> None:
        """Pass values of several runs on."""
        self._sink.log_block(runs, updates, epochs, tags, values)
        if VAL_LOSS in tags:
            names = [self._names[run] for run in runs]
            for number in range(len(updates)):
                self._progress.evaluated_together(names, tags, values[:, number])


def _short(number: float) -> str:
    """Return "950", "18.4k", "1.25M"."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"
