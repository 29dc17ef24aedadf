"""What ``optlab sweep`` adds to a Hydra multirun: flags, short words, and its own executors."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.types import Quote, QuotedString

from optlab.config import ConfigError
from optlab.saying import say
from optlab.sweep.consent import words_with_code

#: Flags of the command, by the word of optlab's launcher that each stands for.
FLAGS = {
    "--plan": "hydra.launcher.plan_only=true",
    "--resume": "hydra.launcher.resume=true",
    "--extend": "hydra.launcher.extend=true",
}
#: Words that may be typed without their section.
SHORT = ("search", "trials", "checkpoint")
#: Who executes a sweep, unless the line says so.
PARTS = ("hydra/sweeper", "hydra/launcher")
FOLDER_KEYS = ("sweep.dir", "hydra.sweep.dir")


def multiruns(arguments: Sequence[str]) -> list[list[str]]:
    """Return the arguments of each multirun that ``optlab sweep ARGUMENTS`` stands for.

    It is one, except that ``--resume FOLDER`` without a line stands for every line whose runs are
    not all finished, and may be none.

    Raises:
        ConfigError: For a folder without a sweep, or a flag that another launcher does not know.
    """
    words = [word for word in arguments if word not in FLAGS]
    if "--resume" in arguments and len(words) == 1 and _is_folder(words[0]):
        return [_multirun(line) for line in _lines_to_resume(Path(words[0]))]
    return [_multirun(arguments)]


def typed(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return what has to be typed to start a multirun again, from its arguments."""
    added = {*FLAGS.values(), "-m", "--multirun"}
    return tuple(word for word in arguments if word not in added)


def _multirun(arguments: Sequence[str]) -> list[str]:
    words = [_full(word) for word in arguments if word not in FLAGS]
    flags = [flag for flag in FLAGS if flag in arguments]
    given = {_key(word): word for word in words}
    launcher = given.get("hydra/launcher", "hydra/launcher=optlab")
    if flags and launcher != "hydra/launcher=optlab":
        raise ConfigError(f"{flags[0]} is of optlab's launcher, and {launcher} takes its place")
    parts = [f"{part}=optlab" for part in PARTS if part not in given]
    return ["-m", *words, *parts, *(FLAGS[flag] for flag in flags)]


def _lines_to_resume(folder: Path) -> list[list[str]]:
    """Return the lines that do what is missing in a sweep's folder; if none, mend the folder."""
    from optlab.sweep.ledger_reader import LedgerReader
    from optlab.sweep.restore import restore_folders
    from optlab.sweep.run_folder import LEDGER_FILE

    if not (folder / LEDGER_FILE).exists():
        raise ConfigError(f"there is no sweep in {str(folder)!r} to resume; give its folder")
    with LedgerReader(folder) as ledger:
        lines = ledger.unfinished_lines()
        for mended in [] if lines else restore_folders(ledger):  # else their own training does
            say(f"{mended}: written again from the ledger")
    place = f"sweep.dir={QuotedString(str(folder), Quote.single).with_quotes()}"
    kept = [[word for word in line if _key(word) not in FOLDER_KEYS] for line in lines]
    _refuse_code_of(folder, kept)
    return [[*line, place, "--resume"] for line in kept]


def _refuse_code_of(folder: Path, lines: Sequence[Sequence[str]]) -> None:
    """Refuse lines that run code because a folder says so, which may be another's."""
    for line in lines:
        if words := words_with_code(line):
            again = shlex.join(["optlab", "sweep", *line, f"sweep.dir={folder}", "--resume"])
            raise ConfigError(
                f"the sweep in {folder} was started with {', '.join(words)}, which runs code: look "
                f"at that code, then type the line yourself: {again}"
            )


def _is_folder(word: str) -> bool:
    """Say whether a word is the path of a folder and no override; folders may have a ``=``, too."""
    return "=" not in word or os.path.isdir(word)


def _full(word: str) -> str:
    return f"sweep.{word}" if word.partition("=")[0] in SHORT and "=" in word else word


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+")


def steady_products(arguments: Sequence[str]) -> None:
    """Let the vmapped engine's products of matrices not depend on how many runs there are.

    Intel's library, which PyTorch calls on the CPU, otherwise multiplies matrices of odd sizes in
    another way when there are more of them. It reads its variable at its first product, and
    processes that are started later read it too.
    """
    if {"sweep.engine=compiled", "sweep.engine=eager"} & set(arguments):
        os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
