"""``optlab board``: TensorBoard on a folder, in this process, for this machine alone."""

import contextlib
import io
import os
import time
import webbrowser
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from tensorboard import program
from tensorboard.plugins.base_plugin import FlagsError

from optlab.config import ConfigError
from optlab.dashboard.dashboard import CELLS, keep_current
from optlab.saying import say, tell, warn

OPEN = "--open"
NO_FLAGS = ("--logdir", "--inspect", "--version")  # of TensorBoard's, those that do something else
HOUR_S = 3600.0
#: The page of custom scalars shows no run where there are more than 40, unless they are chosen.
BEST_CELLS = "#custom_scalars&regexInput=" + quote(f"{CELLS}/(.*/)?0*[1-9] ", safe="/(.*)?")


def board(folder: Path, flags: Sequence[str]) -> None:
    """Serve what lies below a folder, until an interrupt.

    Dashboards that are missing, or older than the runs, are written first. The address is told as
    soon as it answers.

    Args:
        folder: Of a run, of a sweep, or of anything above them.
        flags: TensorBoard's own, such as ``--port 6006``; without one, the port is the first free
            one from 6006 on. ``--open`` shows the page in a browser.

    Raises:
        ConfigError: When nothing lies there that TensorBoard could show, or a flag is not
            understood, or the port is taken.
    """
    for flag in flags:
        if flag.startswith(NO_FLAGS):
            raise ConfigError(
                f"`optlab board {folder}` shows a page of that folder: leave out {flag}"
            )
    keep_current(folder)
    if not _has_events(folder):
        raise ConfigError(
            f"no event file below {str(folder)!r}: nothing is trained there yet, or it was with "
            "logger.tensorboard=false; `optlab report` shows the runs that ended"
        )
    address = launched(folder, [flag for flag in flags if flag != OPEN])
    tell(address)
    if any(CELLS in folders for _, folders, _ in os.walk(folder)):
        say(f"best cells  {address}{BEST_CELLS}")
    say("Ctrl-C ends it")
    if OPEN in flags and not webbrowser.open(address):
        warn(f"no browser was found to open {address}")
    while True:  # a lock would not do: polars has signals restart what waits for one
        time.sleep(HOUR_S)


def _has_events(folder: Path) -> bool:
    return any("tfevents" in name for _, _, files in os.walk(folder) for name in files)


def launched(folder: Path, flags: Sequence[str]) -> str:
    """Start the server on a thread of its own, and return its address."""
    with _explained() as said, contextlib.redirect_stderr(said):
        server = program.TensorBoard()
        server.configure(["optlab board", *flags, "--logdir", str(folder.resolve())])
        return str(server.launch())


@contextlib.contextmanager
def _explained() -> Iterator[io.StringIO]:
    """Turn what TensorBoard refuses into one sentence; it says much more, and here is where to."""
    said = io.StringIO()
    try:
        yield said
    except (program.TensorBoardServerException, FlagsError, SystemExit) as error:
        lines = said.getvalue().strip().splitlines()
        words = lines[-1] if isinstance(error, SystemExit) and lines else str(error)
        raise ConfigError(f"TensorBoard refuses: {words}") from error
