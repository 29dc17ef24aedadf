"""A process's part in a sweep: it takes arrays of runs from the ledger until none is left.

``python -m optlab.sweep.worker FOLDER`` is such a process beside others. It reads its orders, one
line of JSON, from its standard input, and ends when that is closed: with the process that started
it.
"""

import json
import math
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from rich.console import Console as Terminal

from optlab.saying import say, warn
from optlab.sweep.array import Array
from optlab.sweep.array_checkpoints import ArrayCheckpoints, Start
from optlab.sweep.cause import RUN_ERRORS
from optlab.sweep.explain import explain
from optlab.sweep.failure import Failure
from optlab.sweep.ledger import MAX_ATTEMPTS, Ledger
from optlab.sweep.means import Means
from optlab.sweep.planned import PlannedRun
from optlab.sweep.program import Program, array_sizes
from optlab.sweep.progress import Progress
from optlab.train.native import NotNative
from optlab.train.parts import Parts
from optlab.train.stack.vmapped import NotStackable

#: The exit code of a process that could not go on.
GAVE_UP = 1


@dataclass(frozen=True)
class Task:
    """An array of a program, for whoever takes it.

    Attributes:
        program: Number of the program.
        numbers: Those of the runs.
        means: By what they are trained.
    """

    program: int
    numbers: tuple[int, ...]
    means: Means


class Worker:
    """Trains the arrays that it gets.

    Args:
        ledger: The sweep's ledger.
        runs: The runs of all tasks, by number.
        progress: Is told of everything.
    """

    def __init__(self, ledger: Ledger, runs: Mapping[int, PlannedRun], progress: Progress) -> None:
        self.ledger, self.runs, self.progress = ledger, runs, progress
        self._checkpoints = ArrayCheckpoints(ledger.folder)
        self._left: Counter[int] = Counter()
        self._like: Parts | None = None  # of the program in training: its data are loaded once

    def work(self, tasks: Sequence[Task]) -> None:
        """Train what is queued of the tasks, also what other processes leave behind meanwhile."""
        self._left = Counter(task.program for task in tasks)
        self._pass(tasks)
        while self.ledger.release():
            self._pass(tasks)

    def _pass(self, tasks: Sequence[Task]) -> None:
        """Take what is queued of the tasks; runs on their last attempt one by one."""
        last = f"state = 'queued' AND attempts = {MAX_ATTEMPTS - 1}"
        suspects = {entry.number for entry in self.ledger.entries(last)}
        latest = 0
        for task in tasks:
            if task.program != latest:
                self._like, latest = None, task.program
            together = [number for number in task.numbers if number not in suspects]
            for numbers in (together, *([n] for n in task.numbers if n in suspects)):
                claimed = self.ledger.claim(numbers)
                if claimed:
                    self.train([self.runs[number] for number in claimed], task.means)
            self._left[task.program] -= 1
            if not self._left[task.program]:  # once: later passes go below
                self.progress.program_ended()

    def train(self, runs: Sequence[PlannedRun], means: Means) -> None:
        """Train runs, those that stopped together from where they did, and record their ends."""
        for start in self._checkpoints.starts(runs):
            self._train_from(start, means)

    def _train_from(self, start: Start, means: Means) -> None:
        """Train runs together, or those that cannot be in smaller arrays."""
        runs = start.runs
        array = Array(start, self._checkpoints, means, self.progress, self.ledger, self._like)
        failure = self._failure(array)
        self._like = array.like
        if failure is not None and isinstance(failure.error, NotNative | NotStackable):
            array.take_back()
            who = f"{len(runs)} runs train" if len(runs) > 1 else f"{runs[0].name} trains"
            say(f"{who} singly: {failure.error}")
            for run in runs:
                self.train([run], replace(means, engine="single", reason=str(failure.error)))
        elif failure is not None and len(runs) > 1:
            array.take_back()
            self._halve(runs, means, failure)
        else:
            if failure is not None:
                array.take_back()  # of its updates the result knows nothing
                array.end("failed", failure.of_alone(runs[0].name))
            self._record(array)

    def _failure(self, array: Array) -> Failure | None:
        """Train an array; return what was raised.

        Raises:
            OSError: When nothing more can be recorded: it is no run's fault, and every other one
                would meet it.
        """
        try:
            array.train()
        except KeyboardInterrupt as interrupt:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what is recorded is recorded whole
            array.end("interrupted", str(interrupt) or "stopped by hand")
            self._record(array)
            raise
        except RUN_ERRORS as error:
            failure = Failure.of(error)
            if failure.is_of_nobody:
                array.take_back()
                raise
            return failure
        return None

    def _halve(self, runs: Sequence[PlannedRun], means: Means, failure: Failure) -> None:
        """Train runs that ended together in two arrays, until it is known who was at fault."""
        halves = array_sizes(len(runs), math.ceil(len(runs) / 2))
        why = "ran out of memory" if failure.is_memory else f"failed together ({failure.line})"
        say(f"{len(runs)} runs {why} and train as {halves[0]} and {halves[1]}")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.train(runs[: halves[0]], means)
        self.train(runs[halves[0] :], means)

    def _record(self, array: Array) -> None:
        self.ledger.end(array.results)
        for number, result in array.results.items():
            self.progress.ended(self.runs[number].name, result)


def tasks_of(program: Program, means: Means) -> list[Task]:
    """Return the arrays of a program as tasks."""
    arrays = [program.array(index) for index in range(len(program.arrays))]
    return [Task(program.number, tuple(run.number for run in runs), means) for runs in arrays]


def orders(label: str, tasks: Sequence[Task]) -> str:
    """Return the line that tells a worker what to do; `_read_orders` reads it."""
    return json.dumps({"label": label, "tasks": [asdict(task) for task in tasks]})


def _read_orders(line: str) -> tuple[str, list[Task]]:
    found: dict[str, Any] = json.loads(line)
    tasks = [
        Task(task["program"], tuple(task["numbers"]), Means(**task["means"]))
        for task in found["tasks"]
    ]
    return found["label"], tasks


def main() -> int:
    """Take part in the sweep of a folder, as ordered."""
    label = "worker"
    try:
        _end_on_signals()
        label, tasks = _read_orders(sys.stdin.readline())
        threading.Thread(target=_end_with_parent, daemon=True).start()
        with Ledger(sys.argv[1], label) as ledger:
            runs = ledger.planned(number for task in tasks for number in task.numbers)
            quiet = Progress(Terminal(quiet=True))
            Worker(ledger, {run.number: run for run in runs}, quiet).work(tasks)
    except KeyboardInterrupt:
        return GAVE_UP
    except OSError as error:  # nothing can be recorded any more
        warn(f"{label}: {explain(error)}")
        return GAVE_UP
    return 0


def _end_on_signals() -> None:
    def end(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what is recorded now is recorded whole
        raise KeyboardInterrupt("stopped by SIGTERM")

    signal.signal(signal.SIGTERM, end)


def _end_with_parent() -> None:
    """Wait until nobody can write to standard input any more; not through its locked buffer."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    raise SystemExit(main())
