"""The command line: ``optlab train | sweep | report | board | landscape | list | show ...``.

No logic: what a command does stands in the module that it imports.
"""

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from optlab import __version__
from optlab.commands import folder_in, report, sweep, train
from optlab.config import ConfigError, unknown_name
from optlab.saying import leave_unread, warn
from optlab.stopping import Terminated, interrupt_of
from optlab.usage import FAILED, INTERRUPTED, TERMINATED, USAGE, USER_MISTAKE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode is no reason to die
    hydra_helps = words[:1] in (["train"], ["sweep"])
    if not words or words[0] == "help" or (not hydra_helps and {"-h", "--help"} & set(words)):
        print(USAGE, end="")
        return 0
    if words[0] in ("-V", "--version", "version"):
        print(f"optlab {__version__}")
        return 0
    return _guarded(words[0], words[1:])


def _guarded(command: str, arguments: list[str]) -> int:
    """Run a command; a user's mistake becomes one sentence and exit code 2."""
    from optlab.sweep.refusal import SweepRefused  # past Hydra, it is no Exception

    try:
        if command not in COMMANDS:
            raise unknown_name("command", command, COMMANDS)
        with _terminable():
            code = COMMANDS[command](arguments)
            sys.stdout.flush()  # here, where a reader that went away is understood
            return code
    except KeyboardInterrupt as interrupt:
        return _stopped(command, interrupt)
    except (Exception, SweepRefused) as error:
        if (behind := _interrupt_behind(error)) is not None:
            return _stopped(command, behind)
        return _explained(command, error)


def _explained(command: str, error: BaseException) -> int:
    """Say what was wrong; what is nobody's mistake is raised."""
    from optlab.sweep.explain import USER_ERRORS, explain
    from optlab.sweep.refusal import SweepRefused

    if isinstance(error, BrokenPipeError):  # `optlab list | head`: the reader has what it wanted
        leave_unread(sys.stdout)
        return 0
    is_mistake = isinstance(error, (*USER_ERRORS, SweepRefused))
    if not (is_mistake or isinstance(error, OSError)) or os.environ.get("HYDRA_FULL_ERROR") == "1":
        raise error
    warn(f"optlab {command}: {explain(error)}")
    return USER_MISTAKE if is_mistake else FAILED


def _stopped(command: str, interrupt: KeyboardInterrupt) -> int:
    advice = "; the same line again does what is not finished" if command == "sweep" else ""
    warn(f"optlab: stopped{advice}")
    return TERMINATED if isinstance(interrupt, Terminated) else INTERRUPTED


def _interrupt_behind(error: BaseException | None) -> KeyboardInterrupt | None:
    """Return the interrupt that a library took for an error of its own, if there was one."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error


@contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM into an interrupt, so that the run is recorded before the process ends."""

    def end(number: int, frame: object) -> None:
        raise interrupt_of(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def board(arguments: list[str]) -> int:
    """``optlab board DIR``: TensorBoard, until it is stopped."""
    folder = folder_in(arguments[:1], "board")
    from optlab.dashboard.board import board

    board(folder, arguments[1:])
    return 0


def landscape(arguments: list[str]) -> int:
    """``optlab landscape RUN``."""
    from optlab.landscape import network

    print(f"landscape  {network.landscape(network.asked(arguments))}")
    return 0


def list_choices(arguments: list[str]) -> int:
    """``optlab list [GROUP]``."""
    from optlab.catalog import catalog, of_plugins

    words, modules = _without_plugins(arguments)
    if len(words) > 1:
        raise ConfigError(f"give one group or none, got {' '.join(words)}: optlab list optimizers")
    print(catalog(words[0] if words else None, of_plugins(modules)))
    return 0


def show(arguments: list[str]) -> int:
    """``optlab show GROUP NAME``."""
    from optlab.catalog import of_plugins
    from optlab.manual import page

    words, modules = _without_plugins(arguments)
    if len(words) != 2:
        raise ConfigError("give a group and a name: optlab show optimizer adam")
    print(page(words[0], words[1], of_plugins(modules)))
    return 0


def _without_plugins(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return the words without ``plugins=[...]``, and the modules that it names."""
    words = [word for word in arguments if not word.startswith("plugins=")]
    modules: list[str] = []
    for value in (word.removeprefix("plugins=") for word in arguments if word not in words):
        if not (value.startswith("[") and value.endswith("]")):
            raise ConfigError(f"plugins must be a list such as [my_module], got {value!r}")
        modules += [name for name in map(str.strip, value[1:-1].split(",")) if name]
    return words, modules


def check(arguments: list[str]) -> int:
    """``optlab check MODULE [NAME]``: 1 if a promise is broken."""
    from optlab.check import report_on, select

    if len(arguments) not in (1, 2):
        raise ConfigError("give a module or an optimizer: optlab check my_rule, optlab check adam")
    kept = True
    for line, passed in report_on(select(*arguments)):
        print(line, flush=True)
        kept = kept and passed
    return 0 if kept else FAILED


def bench(arguments: list[str]) -> int:
    """``optlab bench sweep``."""
    if len(arguments) != 1:
        raise ConfigError("give what to measure: optlab bench sweep")
    if arguments != ["sweep"]:
        raise unknown_name("benchmark", arguments[0], ["sweep"])
    from optlab.bench import sweep_lines

    for line in sweep_lines():
        print(line, flush=True)
    return 0


COMMANDS = {
    "train": train,
    "sweep": sweep,
    "report": report,
    "board": board,
    "landscape": landscape,
    "list": list_choices,
    "show": show,
    "check": check,
    "bench": bench,
}
