"""How ``train``, ``sweep`` and ``report`` answer: the flags ``--quiet`` and ``--json``."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optlab.results import RESULT_FILE, json_text
from optlab.saying import quiet, tell
from optlab.sweep.explain import USER_ERRORS
from optlab.sweep.refusal import SweepRefused

QUIET, JSON = "--quiet", "--json"


@contextmanager
def answered(
    arguments: Sequence[str], summary: Callable[[], Mapping[str, Any] | None]
) -> Iterator[list[str]]:
    """Give the arguments without the two flags, and answer as they say, also after an error.

    With ``--json`` standard output has one JSON object, once the work has ended, and nothing else;
    after a mistake in what was typed it has nothing.

    Args:
        arguments: What was typed after the command.
        summary: What the object says; None where there is nothing to tell of.
    """
    words = [word for word in arguments if word not in (QUIET, JSON)]
    with quiet(QUIET in arguments):
        if JSON not in arguments:
            yield words
            return
        try:
            with _no_output(os.devnull if QUIET in arguments else None):
                yield words
        except (*USER_ERRORS, SweepRefused):
            raise
        except BaseException:
            _tell(summary())
            raise
        _tell(summary())


def run_summary(folder: Path) -> dict[str, Any] | None:
    """Return the folder of a run and what its result says, if it has one."""
    path = folder / RESULT_FILE
    return {"folder": str(folder), **json.loads(path.read_bytes())} if path.exists() else None


def _tell(found: Mapping[str, Any] | None) -> None:
    if found is not None:
        tell(json_text(found).removesuffix("\n"))


@contextmanager
def _no_output(instead: str | None) -> Iterator[None]:
    """Send what is written to standard output to standard error, also by other processes.

    Args:
        instead: A file that gets it in place of standard error.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        with contextlib.ExitStack() as stack:
            place = stack.enter_context(open(instead, "w")) if instead else sys.stderr
            os.dup2(place.fileno() if instead else 2, 1)
            stack.enter_context(contextlib.redirect_stdout(place))
            yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
