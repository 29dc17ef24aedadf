"""Command lines that train what a comparison lacks, made of those that its sweeps were typed with.

A line is the words after ``optlab sweep``. Lines come from ledgers; nothing here runs them.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from optlab.records import SweepRecord

Line = Sequence[str]

#: Words that the folder, or the command itself, says again.
LEFT_OUT = ("sweep.dir", "hydra.sweep.dir", "hydra/sweeper", "hydra/launcher")
FLAGS = ("--extend", "--resume")
#: What Hydra reads as it stands, without quotes.
PLAIN = re.compile(r"[\w./:+-]+")


def lines_of(sweeps: Iterable[SweepRecord]) -> Iterator[tuple[Path, Line]]:
    """Yield every line with the folder of its sweep, without what says where and by what.

    Lines that follow a protocol are left out: its runs are fixed, and none are added.
    """
    for sweep in sweeps:
        for line in filter(is_free, sweep.lines):
            words = [word for word in line if _key(word) not in LEFT_OUT]
            yield sweep.folder, [word for word in words if word not in FLAGS]


def keys_of(line: Line) -> list[str]:
    """Return the keys that a line gives values to."""
    return [_key(word) for word in line if "=" in word]


def is_free(line: Line) -> bool:
    """Say whether a line says itself which runs there are, and follows no protocol."""
    return given(line, "protocol") is None


def given(line: Line, key: str) -> str | None:
    """Return what a line says of a key, None where it says nothing."""
    found = [word.partition("=")[2] for word in line if _key(word) == key and "=" in word]
    return found[-1] if found else None


def changed(line: Line, changes: Mapping[str, str]) -> Line:
    """Return a line with other values of some keys, in their places or behind it.

    One value alone becomes a list of one, as runs are named by what a line lists: added ones would
    have the folders of others.
    """
    words = [word for word in line if not ("=" in word and _key(word) in changes)]
    kept = {_key(word): place for place, word in enumerate(line) if _key(word) in changes}
    for key, value in sorted(changes.items(), key=lambda item: kept.get(item[0], len(line))):
        word = value if key.startswith("sweep.") else _as_list(value)
        words.insert(kept.get(key, len(words)), f"{key}={word}")
    return words


def optimizers_in(line: Line, known: Iterable[str]) -> set[str]:
    """Return which of some optimizers a line trains, all where only Hydra could tell."""
    word = given(line, "optimizer")
    listed = None if word is None else re.fullmatch(r"(?:choice\()?([\w,]+)\)?", word)
    if listed is None:
        return set(known)
    names = listed[1].split(",")
    return {name for name in known if choice_of(name) in names}


def choice_of(optimizer: str) -> str:
    """Return the word that chooses an optimizer: one of others is called by its class."""
    return "foreign" if "." in optimizer else optimizer


def is_searched(line: Line) -> bool:
    """Say whether some values of a line are drawn from intervals."""
    return any("interval(" in word for word in line)


def extend(lines: Iterable[tuple[Path, Line]]) -> str:
    """Return the command that adds the runs of some lines to the sweeps in their folders."""
    commands = [_command(line, folder, "--extend") for folder, line in lines]
    return " && ".join(dict.fromkeys(commands))


def anew(lines: Iterable[tuple[Path, Line]]) -> str:
    """Return the command that trains all of some lines again, in folders beside theirs."""
    commands: dict[str, None] = {}
    begun: set[Path] = set()
    for folder, line in lines:
        place = folder.with_name(f"{folder.name}_again")
        commands[_command(line, place, *(["--extend"] if place in begun else []))] = None
        begun.add(place)
    return " && ".join(commands)


def resume(folders: Iterable[Path], what: str = "sweep") -> str:
    """Return the command that trains what is missing in the folders of sweeps, or of runs."""
    return " && ".join(shlex.join(["optlab", what, "--resume", str(f)]) for f in folders)


def as_word(value: Any) -> str:
    """Return a value of a configuration as Hydra reads it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{','.join(map(as_word, value))}]"
    text = repr(value) if isinstance(value, float) else str(value)
    return text if PLAIN.fullmatch(text) else _quoted(text)


def as_seeds(seeds: Iterable[int]) -> str:
    """Return seeds as a word lists them: ``range(0,6)`` where none between is left out."""
    ordered = sorted(seeds)
    if len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"range({ordered[0]},{ordered[-1] + 1})"
    return ",".join(map(str, ordered))


def _as_list(value: str) -> str:
    is_list = "," in re.sub(r"\[.*?\]", "", value) or "(" in value
    return value if is_list else f"choice({value})"


def _command(line: Line, folder: Path, *flags: str) -> str:
    return shlex.join(["optlab", "sweep", *line, f"sweep.dir={as_word(str(folder))}", *flags])


def _quoted(text: str) -> str:
    # Backslashes count only before a quote.
    inner = re.sub(r"(\\*)('|$)", lambda at: 2 * at[1] + ("\\'" if at[2] else ""), text)
    return f"'{inner}'"


def _key(word: str) -> str:
    return word.lstrip("+").partition("=")[0]
