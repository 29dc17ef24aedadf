"""What can be chosen, read off the packaged configuration files: what Hydra itself composes from.

A choice is a file of its group's folder. Its first comment says what it is, its keys are its
options with their defaults. No torch is imported, so the answer is there at once.
"""

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import yaml  # type: ignore[import-untyped]

from optlab.config import unknown_name
from optlab.results import flatten

CONFIGS = "optlab.configs"
IRREGULAR = {"diagnostics": "diagnostics", "loss": "losses"}  # other plurals end in "s"
GLOBAL = "# @package _global_"  # the first line of a file that sets several groups
SYNONYMS = {"initializer": "init", "initializers": "init"}


def groups() -> dict[str, str]:
    """Return the default choice of every group, in the order of ``train.yaml``."""
    folders = {folder.name for folder in files(CONFIGS).iterdir() if folder.is_dir()}
    entries = yaml.safe_load(files(CONFIGS).joinpath("train.yaml").read_text("utf-8"))["defaults"]
    defaults = {k: v for entry in entries if isinstance(entry, dict) for k, v in entry.items()}
    return {name: str(default or "none") for name, default in defaults.items() if name in folders}


def plural(group: str) -> str:
    """Return the plural of a group's name, as in ``optlab list optimizers``."""
    return IRREGULAR.get(group, f"{group}s")


def choices(group: str) -> dict[str, Traversable]:
    """Return the files of a group by the names under which they are chosen."""
    found = sorted(files(CONFIGS).joinpath(group).iterdir(), key=lambda file: file.name)
    return {f.name.removesuffix(".yaml"): f for f in found if f.name.endswith(".yaml")}


def catalog(group: str | None = None) -> str:
    """Return what can be chosen for ``group``, singular or plural, or for every group.

    Raises:
        ConfigError: For an unknown group.
    """
    defaults = groups()
    if group is None:
        return "\n\n".join(_section(name, default) for name, default in defaults.items())
    return _section(resolve(group), defaults[resolve(group)])


def resolve(group: str) -> str:
    """Return the folder's name of a group given in the singular or the plural.

    Raises:
        ConfigError: For an unknown group.
    """
    names = groups()
    known = {plural(name): name for name in names} | {name: name for name in names} | SYNONYMS
    if group not in known:
        raise unknown_name("group", group, map(plural, names))
    return known[group]


def entry(group: str, name: str, width: int = 0) -> str:
    """Return one choice of a group: what it is and, below, its options with their defaults.

    Raises:
        ConfigError: For an unknown name.
    """
    found = choices(group)
    if name not in found:
        raise unknown_name(group, name, found)
    text = found[name].read_text("utf-8")
    options = " ".join(f"{key}={value}" for key, value in _options(group, text))
    width = width or len(name)
    lines = [f"  {name:<{width}}  {_summary(text)}"]
    lines += [f"  {'':<{width}}  {options}"] if options else []
    return "\n".join(lines)


def configured(group: str, name: str) -> str:
    """Return the registered name that a choice configures: its own, but for presets."""
    text = choices(group)[name].read_text("utf-8")
    config: dict[str, Any] = yaml.safe_load(text) or {}
    own = config.get(group, {}) if text.startswith(GLOBAL) else config
    return str(own.get("name", name))


def _section(group: str, default: str) -> str:
    width = max(map(len, choices(group)))
    lines = (entry(group, name, width) for name in choices(group))
    return "\n".join([f"{group}=  (default {default})", *lines])


def _summary(text: str) -> str:
    """Return the first comment that describes, not one that places, such as ``@package``."""
    comments = (line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    return next((comment for comment in comments if not comment.startswith("@")), "")


def _options(group: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield keys and values: of the group's own block by short names, of others in full."""
    config: dict[str, Any] = yaml.safe_load(text) or {}
    overridden = config.pop("defaults", [])
    if text.startswith(GLOBAL):
        own = config.pop(group, {})
    else:
        own, config = config, {}
    yield from ((key, _typed(value)) for key, value in flatten(own).items() if key != "name")
    for entry in overridden:
        if isinstance(entry, Mapping):
            yield from ((k.removeprefix("override /"), str(v)) for k, v in entry.items())
    yield from ((key, _typed(value)) for key, value in flatten(config).items())


def _typed(value: Any) -> str:
    """Return a value as it is typed on the command line."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
