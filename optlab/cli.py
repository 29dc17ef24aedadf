"""The command line: ``optlab train | sweep | report | board | list``. No logic, no torch."""

import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from optlab import __version__
from optlab.config import ConfigError, unknown_name

USAGE = f"""\
optlab {__version__}: which optimizer, initializer, activation and regularizer works here, and by
how much?

  optlab train [KEY=VALUE ...]     one run; -m sweeps over comma-separated values (Hydra multirun)
  optlab train RUN/config.yaml     an earlier run again, with changes if you add KEY=VALUE
  optlab sweep KEY=A,B ...         a grid of runs, then their ranking
  optlab report DIR                ranking, table and figure of the runs below DIR
  optlab board DIR                 TensorBoard on DIR
  optlab list [GROUP]              what can be chosen: optimizers, tasks, activations ...

Examples:
  optlab train optimizer=adam init=he_normal activation=relu task=digits
  optlab sweep 'optimizer=glob(*)' optimizer.lr=1e-3,1e-2 'seed=range(0,3)'
  optlab train --help              every group and the whole configuration

Output goes to runs/ in the current folder. HYDRA_FULL_ERROR=1 shows full tracebacks.
"""

USER_MISTAKE, FAILED, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    hydra_helps = words[:1] in (["train"], ["sweep"])
    if not words or words[0] == "help" or (not hydra_helps and {"-h", "--help"} & set(words[:2])):
        print(USAGE, end="")
        return 0
    if words[0] in ("-V", "--version", "version"):
        print(f"optlab {__version__}")
        return 0
    return _guarded(words[0], words[1:])


def _guarded(command: str, arguments: list[str]) -> int:
    """Run a command; a user's mistake becomes one sentence and exit code 2."""
    from optlab.sweep.explain import USER_ERRORS, explain

    try:
        if command not in COMMANDS:
            raise unknown_name("command", command, COMMANDS)
        return COMMANDS[command](arguments)
    except USER_ERRORS as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        print(f"optlab {command}: {explain(error)}", file=sys.stderr)
        return USER_MISTAKE
    except BrokenPipeError:  # `optlab list | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        print(f"optlab {command}: {explain(error)}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def train(arguments: list[str]) -> int:
    """``optlab train``: Hydra does the rest."""
    if {"-m", "--multirun"} & set(arguments):
        return _multirun(arguments)
    from optlab.sweep.hydra_app import launch

    launch(arguments)
    return 0


def sweep(arguments: list[str]) -> int:
    """``optlab sweep``: a multirun and its report."""
    asks_only = {"--help", "--cfg", "-c", "--hydra-help", "--info", "-i"} & set(arguments)
    return train(arguments) if asks_only else _multirun(["-m", *arguments], report_after=True)


def _multirun(arguments: list[str], report_after: bool = False) -> int:
    from optlab.sweep.hydra_app import launch, sweep_folder
    from optlab.sweep.summary import summarize

    folder = sweep_folder(arguments, f"runs/{datetime.now():%Y-%m-%d_%H-%M-%S-%f}")
    launch([*arguments, f"sweep.dir={folder}"])
    if report_after and folder.is_dir():
        report([str(folder)])
    return FAILED if summarize(folder) else 0


def report(arguments: list[str]) -> int:
    """``optlab report DIR``."""
    from optlab.report import report as write_report

    written = write_report(_folder(arguments, "report"))
    print(written.text)
    return 0


def board(arguments: list[str]) -> int:
    """``optlab board DIR``: TensorBoard in this process's place."""
    folder = _folder(arguments[:1], "board")
    words = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), *arguments[1:]]
    os.execv(sys.executable, words)


def list_choices(arguments: list[str]) -> int:
    """``optlab list [GROUP]``."""
    from optlab.catalog import catalog

    print(catalog(arguments[0] if arguments else None))
    return 0


def _folder(arguments: list[str], command: str) -> Path:
    if len(arguments) != 1:
        raise ConfigError(f"give one folder: optlab {command} DIR")
    folder = Path(arguments[0])
    if not folder.is_dir():
        raise ConfigError(f"no folder {arguments[0]!r}; give the folder of a run or of a sweep")
    return folder


COMMANDS = {"train": train, "sweep": sweep, "report": report, "board": board, "list": list_choices}
