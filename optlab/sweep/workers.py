"""Processes that work on one sweep side by side, and the one that watches them."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch

from optlab.saying import warn
from optlab.sweep.ledger import Ledger
from optlab.sweep.planned import PlannedRun
from optlab.sweep.progress import Progress
from optlab.sweep.worker import Task, orders

#: Seconds between looks at the ledger, and those that a worker has to record its end.
LOOK_S, END_S = 0.5, 60.0

Processes = list[subprocess.Popen[str]]


class Workers:
    """Lets fresh processes train what is queued, and tells how far they are.

    Args:
        ledger: The sweep's ledger.
        runs: The runs of all tasks, by number.
        progress: Is told of everything.
    """

    def __init__(self, ledger: Ledger, runs: Mapping[int, PlannedRun], progress: Progress) -> None:
        self.ledger, self.runs, self.progress = ledger, runs, progress
        self._told: set[int] = set()
        self._left: dict[int, set[int]] = {}

    def work(self, tasks: Sequence[Task], count: int) -> None:
        """Have the tasks done by ``count`` processes at a time.

        What a process leaves behind that is killed, another one takes up; where all of them were,
        others are started. A run that has lost `optlab.sweep.ledger.MAX_ATTEMPTS` of them is
        left alone.

        Raises:
            ChildProcessError: When processes do not even begin.
        """
        self.progress.advanced(0)  # their rate is from here on
        for task in tasks:
            self._left.setdefault(task.program, set()).update(task.numbers)
        attempts = -1
        while (made := self._attempts()) != attempts and self._queued():
            attempts = made
            with _started(self.ledger.folder, tasks, count) as processes:
                self._watch(processes)
            self.ledger.release()
            self._tell()
        if left := self._queued():
            raise ChildProcessError(
                f"{len(left)} runs are left, and the processes that should train them ended; what "
                "they said stands above. The same line again does what is missing"
            )

    def _queued(self) -> set[int]:
        """Return the runs that nobody has taken."""
        queued = {entry.number for entry in self.ledger.entries("state = 'queued'")}
        return queued & set(self.runs)

    def _attempts(self) -> int:
        """Return how often runs were taken: processes that do not even do that help nobody."""
        return sum(entry.attempts for entry in self.ledger.entries())

    def _watch(self, processes: Processes) -> None:
        """Wait for the end of all processes, and tell what happens meanwhile."""
        while any(process.poll() is None for process in processes):
            started = time.perf_counter()
            self._tell()
            time.sleep(max(LOOK_S, 20 * (time.perf_counter() - started)))

    def _tell(self) -> None:
        """Tell of the runs that have ended since the last look."""
        ended = {e.number for e in self.ledger.entries("state NOT IN ('queued', 'running')")}
        new = sorted(ended & set(self.runs) - self._told)
        results = self.ledger.results(new) if new else {}
        for number in results:
            name, result = self.runs[number].name, results[number]
            self.progress.advanced(result.updates)
            self.progress.evaluated(name, {f"{tag}/val": v for tag, v in result.val.items()})
            self.progress.ended(name, result)
        self._told |= set(new)
        for program, left in list(self._left.items()):
            if left <= self._told:
                self.progress.program_ended()
                del self._left[program]


@contextlib.contextmanager
def _started(folder: Path, tasks: Sequence[Task], count: int) -> Iterator[Processes]:
    """Start processes; on leaving, those that still train record that they were interrupted."""
    processes: Processes = []
    try:
        for index in range(count):
            processes.append(_start(folder, tasks, index))
        yield processes
    finally:
        ended = [process.poll() for process in processes]
        for process in processes:
            process.terminate()
        for process in processes:
            _wait(process)
        _tell_of_the_killed(ended)


def _start(folder: Path, tasks: Sequence[Task], index: int) -> "subprocess.Popen[str]":
    """Start one process, on a GPU of its own where there are some."""
    words = [sys.executable, "-m", "optlab.sweep.worker", str(folder)]
    devices = _devices()
    own = {"CUDA_VISIBLE_DEVICES": devices[index % len(devices)]} if devices else {}
    process = subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=2,  # results are told here, what models of others print is none
        text=True,
        env={**os.environ, **own},
        start_new_session=True,  # a key pressed for this process is not for them
    )
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it has ended already, and said why
        process.stdin.write(orders(f"worker {index + 1}", tasks) + "\n")
        process.stdin.flush()  # and stays open: its end tells them that this process has ended
    return process


def _tell_of_the_killed(exits: Sequence[int | None]) -> None:
    """Say which processes a signal ended; the others have said themselves why they ended."""
    for index, code in enumerate(exits, start=1):
        if code is not None and code < 0 and -code != signal.SIGTERM:
            name = signal.Signals(-code).name
            hint = ", as a machine does that runs out of memory" if name == "SIGKILL" else ""
            warn(f"worker {index} was ended by {name}{hint}; its runs go back to the queue")


def _devices() -> list[str]:
    """Return the CUDA devices that processes may share out."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    devices = named.split(",") if named else list(map(str, range(torch.cuda.device_count())))
    return devices if torch.cuda.is_available() else []


def _wait(process: "subprocess.Popen[str]") -> None:
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
