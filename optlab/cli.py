"""The command line: ``optlab train | sweep | report | board | list | show | check | bench``.

No logic: what a command does stands in the module that it imports.
"""

import io
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from optlab import __version__
from optlab.config import ConfigError, unknown_name

USAGE = f"""\
optlab {__version__}: which optimizer, initializer, activation and regularizer works here, and by
how much?

  optlab train [KEY=VALUE ...]     one run; -m sweeps over comma-separated values (Hydra multirun)
  optlab train RUN/config.yaml     an earlier run again, with changes if you add KEY=VALUE
  optlab sweep KEY=A,B ...         a grid of runs, trained together, then their ranking;
                                   --plan shows what would be trained, --resume DIR trains what
                                   is missing, --extend adds another grid, --status DIR counts
  optlab report DIR                ranking, table and figure of the runs below DIR
  optlab board DIR                 TensorBoard on DIR
  optlab list [GROUP]              what can be chosen: optimizers, tasks, activations ...
  optlab show GROUP NAME           one choice in full: equations, options, source, differences
  optlab check MODULE [NAME]       an optimizer of your own (or NAME: adam) against the contract
  optlab bench sweep               what training together is worth on this machine: seconds

train, sweep, list and show know what a module of your own registers: 'plugins=[MODULE]'.

Examples:
  optlab train optimizer=adam init=he_normal activation=relu task=digits
  optlab sweep 'optimizer=glob(*)' optimizer.lr=1e-3,1e-2 'seed=range(0,3)'
  optlab sweep 'optimizer.lr=tag(log,interval(1e-4,1e-1))' search=halton trials=75
  optlab show optimizer my_rule 'plugins=[my_rules]'
  optlab train --help              every group and the whole configuration

Output goes to runs/ in the current folder. HYDRA_FULL_ERROR=1 shows full tracebacks.
"""

USER_MISTAKE, FAILED, INTERRUPTED, TERMINATED = 2, 1, 130, 143


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


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM), as a cluster does at the end of a time slot."""


def _guarded(command: str, arguments: list[str]) -> int:
    """Run a command; a user's mistake becomes one sentence and exit code 2."""
    from optlab.sweep.explain import USER_ERRORS, explain
    from optlab.sweep.refusal import SweepRefused

    try:
        if command not in COMMANDS:
            raise unknown_name("command", command, COMMANDS)
        with _terminable():
            code = COMMANDS[command](arguments)
            sys.stdout.flush()  # here, where a reader that went away is understood
            return code
    except (*USER_ERRORS, SweepRefused) as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        print(f"optlab {command}: {explain(error)}", file=sys.stderr)
        return USER_MISTAKE
    except BrokenPipeError:  # `optlab list | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        print(f"optlab {command}: {explain(error)}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt as interrupt:
        print("optlab: stopped; the same line again does what is not finished", file=sys.stderr)
        return TERMINATED if isinstance(interrupt, Terminated) else INTERRUPTED


@contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM into an interrupt, so that the run is recorded before the process ends."""

    def end(number: int, frame: object) -> None:
        raise Terminated("stopped by SIGTERM")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def train(arguments: list[str]) -> int:
    """``optlab train``: Hydra does the rest."""
    from optlab.sweep.hydra_app import launch

    folder = launch(arguments)
    return 0 if folder is None else _summary(folder)


def sweep(arguments: list[str]) -> int:
    """``optlab sweep``: a multirun and its report."""
    if "--status" in arguments:
        from optlab.sweep.status import status

        words = [word for word in arguments if word != "--status"]
        print(status(_folder(words, "sweep --status")))
        return 0

    from optlab.sweep.command import multiruns, steady_products
    from optlab.sweep.hydra_app import launch

    steady_products(arguments)
    asks_only = {"--help", "--cfg", "-c", "--hydra-help", "--info", "-i"} & set(arguments)
    lines = [arguments] if asks_only else multiruns(arguments)
    if not lines:
        print("nothing of this sweep is missing")
    folder: Path | None = None
    for line in lines:
        folder = launch(line)
    if folder is None:
        return 0
    report([str(folder)])
    return _summary(folder)


def _summary(folder: Path) -> int:
    from optlab.sweep.summary import summarize

    return FAILED if summarize(folder) else 0


def report(arguments: list[str]) -> int:
    """``optlab report DIR``."""
    from optlab.report import report as write_report

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(write_report(_folder(arguments, "report"), width).text, end="")
    return 0


def board(arguments: list[str]) -> int:
    """``optlab board DIR``: TensorBoard in this process's place."""
    folder = _folder(arguments[:1], "board")
    words = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), *arguments[1:]]
    os.execv(sys.executable, words)


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


def _folder(arguments: list[str], command: str) -> Path:
    if len(arguments) != 1:
        raise ConfigError(f"give one folder: optlab {command} DIR")
    folder = Path(arguments[0])
    if not folder.is_dir():
        raise ConfigError(f"no folder {arguments[0]!r}; give the folder of a run or of a sweep")
    return folder


COMMANDS = {
    "train": train,
    "sweep": sweep,
    "report": report,
    "board": board,
    "list": list_choices,
    "show": show,
    "check": check,
    "bench": bench,
}
