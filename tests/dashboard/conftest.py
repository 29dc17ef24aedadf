"""A small sweep that the real command trained, and TensorBoard on it."""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from optlab.cli import main
from tests.loggers.test_tensorboard import WAIT_S, Server
from tests.report.conftest import make_run

__all__ = ["make_run"]

#: Three cells of two seeds: a good one, a poor one, and one that diverges with both.
CELLS = ("01 adam, lr=0.05", "02 adam, lr=1e-06", "03 momentum, lr=1e+30")


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a sweep; tests read it and change nothing."""
    folder = tmp_path_factory.mktemp("dashboard") / "sweep"
    common = ["task=blobs", "trainer.epochs=3", "seed=0,1", f"sweep.dir={folder}", "--quiet"]
    assert main(["sweep", "optimizer=adam", "optimizer.lr=0.05,1e-6", *common]) == 0
    more = ["optimizer=momentum", "optimizer.lr=1e30", "--extend"]
    assert main(["sweep", *more, *common]) == 0
    return folder


@contextmanager
def board(folder: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Give ``optlab board`` as a process, and the first line that it printed."""
    words = [sys.executable, "-m", "optlab", "board", str(folder), *flags]
    process = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell may have started the tests with SIGINT ignored, which is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process, _first_line(process)
    finally:
        process.kill()
        process.communicate()


def _first_line(process: subprocess.Popen[str]) -> str:
    """Return the first line of output, or "" where none comes in time."""
    assert process.stdout is not None
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=lambda: lines.put(process.stdout.readline()), daemon=True).start()
    return lines.get(timeout=WAIT_S).strip()


@pytest.fixture(scope="session")
def address(swept: Path) -> Iterator[str]:
    """Return the address of TensorBoard on the sweep."""
    with board(swept, "--port", "0") as (_, line):
        yield line


@pytest.fixture(scope="session")
def server(address: str) -> Server:
    """Return the server, to be asked over HTTP."""
    return Server(address)


@pytest.fixture
def read() -> Callable[[Path], EventAccumulator]:
    """Return a function that reads the event files of a folder."""

    def load(folder: Path) -> EventAccumulator:
        found = EventAccumulator(str(folder))
        found.Reload()
        return found

    return load


def event_files(folder: Path) -> Sequence[str]:
    """Return the event files at and below a folder."""
    found = [path for path in folder.rglob("*tfevents*")]
    return sorted(os.fspath(path.relative_to(folder)) for path in found)
