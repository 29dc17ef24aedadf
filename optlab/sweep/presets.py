"""Folders of configuration files that the command line names: they choose values, and run nothing.

Hydra would make whatever objects its own section of a configuration names: callbacks, handlers of
logs, arguments of a launcher. A file of such a folder may choose among what is installed, and say
where output goes; the rest of that section is for the command line.
"""

import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from optlab.config import ConfigError
from optlab.sweep.run_folder import PRIMARY

_FLAG = re.compile(r"--config-[dp]\w*|-cd|-cp")
_CHOICE = re.compile(r"(override )?/?hydra/(launcher|sweeper|job_logging|hydra_logging|help)")
_PACKAGE = re.compile(r"@package\s+\S*(hydra|_name_)")
#: Keys of Hydra's section that say where output goes.
PLACES = ("run", "sweep")


def refuse_acting_presets(flags: Sequence[str]) -> None:
    """Refuse a folder named by flags when a file in it speaks to Hydra of more than choices.

    Args:
        flags: Hydra's flags, each followed by its value or joined to it by ``=``.

    Raises:
        ConfigError: Naming the file and what of it is refused; also for a pickle to start from.
    """
    for flag, following in itertools.zip_longest(flags, flags[1:], fillvalue=""):
        name, _, value = flag.partition("=")
        if name.startswith("--e"):
            raise ConfigError(
                f"{name} reads a pickle, which can run code: start a run again from its config.yaml"
            )
        if _FLAG.fullmatch(name):
            for folder in _folders(value or following):
                for path in _files(folder):
                    _refuse_acting(path, folder)


def _folders(value: str) -> list[Path]:
    """Return where Hydra may look: from here, or from the file that starts it, beside this one."""
    place = value.removeprefix("file://")
    return [Path(place), Path(__file__).parent / place]


def _files(folder: Path) -> Iterator[Path]:
    """Return the YAML files below a folder, those behind links as well, each folder once."""
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(place, name) for name in sorted(names) if name.endswith((".yaml", ".yml")))


def _refuse_acting(path: Path, root: Path) -> None:
    reason = _acting(path, path.relative_to(root))
    if reason:
        raise ConfigError(
            f"{path} {reason}, which could run code: take it out, and give what it was for on the "
            "command line"
        )


def _acting(path: Path, place: Path) -> str:
    """Return what a file has that could make code run, or nothing."""
    if not path.is_file():
        return "is no regular file"
    text = path.read_text(encoding="utf-8", errors="replace")
    if place.parts[0] == "hydra" or _PACKAGE.search(text):
        return "is for Hydra's own section"
    try:
        content: Any = yaml.safe_load(text)
    except yaml.YAMLError:
        return ""  # Hydra says so, if it is asked for this file
    except Exception as error:  # PyYAML lets through what a value raises that is not of its tag
        return f"holds a value that cannot be read ({type(error).__name__}: {error})"
    if not isinstance(content, Mapping):
        return ""
    if not _is_place(content.get("hydra")):
        return "has a section 'hydra' that says more than where output goes"
    entries = [text for entry in content.get("defaults") or [] for text in _texts(entry)]
    acting = [e for e in entries if ("hydra" in e and not _CHOICE.fullmatch(e)) or ".." in e]
    return f"chooses {acting[0]!r}" if acting else ""


def _is_place(section: Any) -> bool:
    if section is None or section == PRIMARY["hydra"]:
        return True
    return isinstance(section, Mapping) and all(key in PLACES for key in section)


def _texts(entry: Any) -> list[str]:
    if isinstance(entry, Mapping):
        return [str(text) for pair in entry.items() for text in pair]
    return [str(entry)]
