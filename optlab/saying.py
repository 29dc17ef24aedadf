"""What optlab says to a person: results on standard output, all else on standard error.

So ``optlab sweep ... > table.txt`` leaves the ranking in the file and the progress on the terminal.
Whether somebody reads does not matter to a training: when a reader goes away, the rest goes unsaid.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

#: Environment variable under which nothing but results, warnings and errors is said. Processes that
#: are started later read it too.
QUIET = "OPTLAB_QUIET"


def is_quiet() -> bool:
    """Return whether only results, warnings and errors are wanted."""
    return os.environ.get(QUIET, "0") not in ("", "0")


@contextmanager
def quiet(wanted: bool) -> Iterator[None]:
    """Say no more than is wanted, here and in processes that are started meanwhile."""
    before = os.environ.get(QUIET)
    if wanted:
        os.environ[QUIET] = "1"
    try:
        yield
    finally:
        if wanted:
            os.environ.pop(QUIET)
            if before is not None:
                os.environ[QUIET] = before


def say(text: str) -> None:
    """Say how the work goes."""
    if not is_quiet():
        warn(text)


def warn(text: str) -> None:
    """Say what a user has to know in any case."""
    _write(text, sys.stderr)


def tell(text: str) -> None:
    """Say a result."""
    _write(text, sys.stdout)


def _write(text: str, stream: TextIO) -> None:
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        leave_unread(stream)


def leave_unread(stream: TextIO) -> None:
    """Let what is left to be written to a stream without a reader go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
