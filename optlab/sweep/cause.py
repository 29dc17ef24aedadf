"""What a record says of the error that ended a run."""

import sysconfig
import traceback
from pathlib import Path

import optlab
from optlab.config import ConfigError

#: What a run's own code may raise and end that run alone: a plugin may call `sys.exit`.
RUN_ERRORS = (Exception, SystemExit)

#: Characters of a cause; a compiler may quote a whole program.
MAX_LENGTH = 4_000

#: Where code lies that no user wrote.
NOT_OF_THE_USER = (Path(optlab.__file__).parent, Path(sysconfig.get_paths()["stdlib"]))


def cause_of(error: BaseException) -> str:
    """Return kind, text and place of an error; a user's mistake is told by its text alone.

    The text can be stored and printed whatever the error says, or fails to say.
    """
    text = _text(error)
    if isinstance(error, SystemExit):
        text = f"the run's own code called sys.exit({text})"
    if not isinstance(error, ConfigError):
        line, end, more = text.partition("\n")
        line = ": ".join(part for part in (type(error).__name__, line) if part)
        text = line + _place(error) + end + more
    if len(text) > MAX_LENGTH:
        text = f"{text[:MAX_LENGTH]} ... ({len(text):,} characters)"
    return text.encode("utf-8", "backslashreplace").decode()


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as another:  # raised by the error's own code
        return f"it cannot be put into words ({type(another).__name__})"


def _place(error: BaseException) -> str:
    """Say where a plugin raised it: ``" (my_rule.py, line 12)"``; nothing of an error of ours."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        is_of_the_user = not any(path.is_relative_to(place) for place in NOT_OF_THE_USER)
        if path.is_absolute() and is_of_the_user and "site-packages" not in path.parts:
            return f" ({path.name}, line {frame.lineno})"
    return ""
