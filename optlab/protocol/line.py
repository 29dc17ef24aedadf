"""What was typed after ``optlab sweep`` when a protocol is to be followed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from hydra.core.override_parser.types import Override, Quote, QuotedString

from optlab.config import ConfigError
from optlab.identity import OUTCOME_FREE
from optlab.sweep.command import FLAGS, FOLDER_KEYS
from optlab.sweep.hydra_app import split
from optlab.sweep.words import free_foreign_options, parse

KEY = "protocol"

#: What a protocol fixes, and why a line cannot say it.
FIXED = {
    "seed": "seeds for tuning and for reruns",
    "schedule": "schedules",
    "sweep.search": "the search",
    "search": "the search",
    "sweep.trials": "the number of trials",
    "trials": "the number of trials",
    "hydra/sweeper": "which runs there are",
    "hydra/launcher": "how runs are trained",
}


@dataclass(frozen=True)
class Line:
    """A line that follows a protocol.

    Attributes:
        protocol: Its name or path.
        folder: Where all goes.
        words: The other words, Hydra's flags among them.
        flags: Those of ``optlab sweep``.
    """

    protocol: str
    folder: Path
    words: tuple[str, ...]
    flags: tuple[str, ...] = ()

    @property
    def overrides(self) -> list[Override]:
        """The words as Hydra reads them."""
        return parse(free_foreign_options(split(self.words)[1]))

    @property
    def config_folders(self) -> list[Path]:
        """Folders of configuration files that the line names."""
        flags, _ = split(self.words)
        pairs = pairwise([*flags, ""])
        return [Path(f.partition("=")[2] or following) for f, following in pairs if _is_folder(f)]

    @property
    def held(self) -> dict[str, str]:
        """What of it can change a result, by key; another line has something else."""
        free = ("hydra", "sweep", *OUTCOME_FREE)
        overrides = {o.key_or_group: o for o in self.overrides}
        kept = {k: o for k, o in overrides.items() if re.split("[./]", k)[0] not in free}
        flags = " ".join(split(self.words)[0])
        return {**{key: str(o.input_line) for key, o in kept.items()}, "flags": flags}

    @property
    def typed(self) -> tuple[str, ...]:
        """All of it but the folder."""
        return (f"{KEY}={self.protocol}", *self.words)

    def into(self, folder: Path) -> list[str]:
        """Return the words of an ordinary sweep into a folder that begins alike."""
        return [*self.words, f"sweep.dir={quoted(folder)}"]


def read_line(arguments: Sequence[str]) -> Line:
    """Read what was typed after ``optlab sweep``.

    Raises:
        ConfigError: When it gives what the protocol fixes, or lacks something.
    """
    flags = tuple(flag for flag in FLAGS if flag in arguments)
    words = [word for word in arguments if word not in FLAGS]
    given = {_key(word): word for word in words if "=" in word}
    if "--extend" in flags:
        raise ConfigError(
            "a protocol's budgets are the same for all that it compares, so nothing is added with "
            "--extend: choose another sweep.dir"
        )
    for key, what in FIXED.items():
        if typed := next((word for word in words if _is_of(word, key)), None):
            raise ConfigError(
                f"a protocol fixes {what}, and the line gives {typed}: leave it out, or give a "
                "protocol of your own (protocol=FILE.yaml)"
            )
    name = given[KEY].partition("=")[2]
    own = (KEY, *FOLDER_KEYS)
    folder = next((given[key] for key in FOLDER_KEYS if key in given), None)
    rest = tuple(word for word in words if _key(word) not in own)
    line = Line(name, _folder(folder), rest, flags)
    _refuse_searches(line.overrides)
    return line


def quoted(folder: Path) -> str:
    """Return a folder as it is given to Hydra, whatever its name."""
    return QuotedString(str(folder), Quote.single).with_quotes()


def _folder(word: str | None) -> Path:
    if word is None:
        return Path("runs") / datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
    value = parse([word])[0].value()
    if not isinstance(value, str | int | float | QuotedString) or "${" in str(value):
        raise ConfigError(f"the folder of a protocol is one folder, got {word}")
    return Path(value.text if isinstance(value, QuotedString) else str(value))


def _refuse_searches(overrides: Sequence[Override]) -> None:
    for override in overrides:
        if override.is_interval_sweep():
            raise ConfigError(
                f"a protocol fixes what is searched, and the line gives {override.input_line}: "
                "list values instead, or give a protocol of your own (protocol=FILE.yaml)"
            )


def _is_of(word: str, key: str) -> bool:
    return "=" in word and (_key(word) == key or _key(word).startswith(f"{key}."))


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]


def _is_folder(flag: str) -> bool:
    return flag.partition("=")[0] in ("--config-dir", "-cd")


def differences(there: Mapping[str, str], here: Mapping[str, str]) -> str:
    """Say in which words two lines differ."""
    keys = [key for key in {**there, **here} if there.get(key) != here.get(key)]
    return "; ".join(
        f"{there.get(key) or f'no {key}'} there, {here.get(key) or f'no {key}'} here"
        for key in keys
    )
