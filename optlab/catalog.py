"""What can be chosen, read off the packaged configuration files: what Hydra itself composes from.

A choice is a file of its group's folder. Its first comment says what it is, its keys are its
options with their defaults, and the comments at the keys what these mean. No torch is imported, so
the answer is there at once. What plugins register has no files; the text of one is written from its
signature and its docstring.
"""

import inspect
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml  # type: ignore[import-untyped]

from optlab import registry
from optlab.config import unknown_name
from optlab.identity import flatten
from optlab.plugins import defaults_of, import_plugins

CONFIGS = "optlab.configs"
IRREGULAR = {"diagnostics": "diagnostics", "loss": "losses"}  # other plurals end in "s"
SWEPT = "hydra.sweeper.params."  # what stands before options that sweeps vary by themselves
GLOBAL = "# @package _global_"  # the first line of a file that sets several groups
SYNONYMS = {"initializer": "init", "initializers": "init"}

#: What a line chooses that is no part of a run's configuration, with its default.
OF_SWEEPS = {"protocol": "none"}

#: Texts of choices by group and name.
Texts = Mapping[str, Mapping[str, str]]
NO_PLUGINS: Texts = {}


@dataclass(frozen=True)
class Choice:
    """What the text of a choice says.

    An option goes by the words that set it: short within ``group``, in full elsewhere.
    """

    group: str
    text: str

    @property
    def summary(self) -> str:
        """What it is: the first line of the first comment, which stands alone."""
        return self._first_comment()[0]

    @property
    def notes(self) -> str:
        """What else the first comment says, line by line."""
        return "\n".join(self._first_comment()[1:])

    @property
    def options(self) -> dict[str, str]:
        """Options with their values as they are typed."""
        pairs = _options(self.group, self.text)
        return {key: value for key, value in pairs if not key.startswith(SWEPT)}

    @property
    def swept(self) -> dict[str, str]:
        """What a sweep varies unless its line says otherwise, as it is typed."""
        pairs = _options(self.group, self.text)
        return {key.removeprefix(SWEPT): v for key, v in pairs if key.startswith(SWEPT)}

    @property
    def meanings(self) -> dict[str, str]:
        """What the comments at the options say; those without one are left out."""
        own = f"{self.group}." if self.text.startswith(GLOBAL) else ""
        return {key.removeprefix(own): words for key, words in _comments(self.text)}

    def _first_comment(self) -> list[str]:
        """Return the lines that describe, without one that places, such as ``@package``."""
        lines = [line[1:].removeprefix(" ") for line in _header(self.text.splitlines())]
        return [line for line in lines if not line.startswith("@")] or [""]


def groups() -> dict[str, str]:
    """Return the default choice of every group of a run, in the order of ``train.yaml``."""
    folders = {folder.name for folder in files(CONFIGS).iterdir() if folder.is_dir()}
    entries = yaml.safe_load(files(CONFIGS).joinpath("train.yaml").read_text("utf-8"))["defaults"]
    defaults = {k: v for entry in entries if isinstance(entry, dict) for k, v in entry.items()}
    return {name: str(default or "none") for name, default in defaults.items() if name in folders}


def plural(group: str) -> str:
    """Return the plural of a group's name, as in ``optlab list optimizers``."""
    return IRREGULAR.get(group, f"{group}s")


def choices(group: str, own: Texts = NO_PLUGINS) -> dict[str, str]:
    """Return the texts of a group's files, and of plugins, by the names that are chosen."""
    packaged = {
        file.name.removesuffix(".yaml"): file.read_text("utf-8")
        for file in files(CONFIGS).joinpath(group).iterdir()
        if file.name.endswith(".yaml")
    }
    return dict(sorted({**packaged, **own.get(group, {})}.items()))


def of_plugins(modules: Iterable[str]) -> Texts:
    """Import modules; return the texts of what is registered and has no file.

    Raises:
        ConfigError: When a module cannot be imported.
    """
    import_plugins(modules)
    return {group.group: dict(_without_files(group)) for group in registry.GROUPS}


def catalog(group: str | None = None, own: Texts = NO_PLUGINS) -> str:
    """Return what can be chosen for ``group``, singular or plural, or for every group.

    Args:
        group: The group, or None for every one.
        own: What plugins add (`of_plugins`).

    Raises:
        ConfigError: For an unknown group.
    """
    defaults = groups() | OF_SWEEPS
    if group is None:
        return "\n\n".join(_section(name, default, own) for name, default in defaults.items())
    return _section(resolve(group), defaults[resolve(group)], own)


def resolve(group: str) -> str:
    """Return the folder's name of a group given in the singular or the plural.

    Raises:
        ConfigError: For an unknown group.
    """
    names = groups() | OF_SWEEPS
    known = {plural(name): name for name in names} | {name: name for name in names} | SYNONYMS
    if group not in known:
        raise unknown_name("group", group, map(plural, names))
    return known[group]


def entry(group: str, name: str, own: Texts = NO_PLUGINS) -> Choice:
    """Return what is written on a choice of a group.

    Raises:
        ConfigError: For an unknown name.
    """
    found = choices(group, own)
    if name not in found:
        raise unknown_name(group, name, found)
    return Choice(group, found[name])


def configured(group: str, name: str) -> str:
    """Return the registered name that a choice configures: its own, but for presets."""
    text = choices(group).get(name, "")
    config: dict[str, Any] = yaml.safe_load(text) or {}
    own = config.get(group, {}) if text.startswith(GLOBAL) else config
    return str(own.get("name", name))


def _section(group: str, default: str, own: Texts) -> str:
    names = choices(group, own)
    width = max(map(len, names))
    lines = [f"{group}=  (default {default})"]
    for name in names:
        choice = entry(group, name, own)
        lines.append(f"  {name:<{width}}  {choice.summary}".rstrip())
        words = " ".join(f"{key}={value}" for key, value in choice.options.items())
        if words:
            lines.append(f"  {'':<{width}}  {words}")
    return "\n".join(lines)


def _without_files(group: registry.Registry[Any]) -> Iterator[tuple[str, str]]:
    """Yield names and texts of what is registered and has no file."""
    packaged = choices(group.group)
    for name, entry in group.items():
        if name not in packaged:
            yield name, _text(name, entry)


def _text(name: str, entry: Any) -> str:
    """Return what the file of a plugin's entry would be."""
    summary = " ".join((inspect.getdoc(entry) or "").partition("\n\n")[0].split())
    config = {"name": name, **defaults_of(entry)}
    return f"# {summary}\n{yaml.safe_dump(config, sort_keys=False)}"


def _header(lines: list[str]) -> list[str]:
    """Return the comment that a file begins with."""
    return list(itertools.takewhile(lambda line: line.startswith("#"), lines))


def _comments(text: str) -> Iterator[tuple[str, str]]:
    """Yield dotted keys and what is said of them: beside the value, then in lines above the key."""
    lines = [*text.splitlines(), ""]
    first = len(_header(lines))
    for key, start, end in _leaves(yaml.compose(text)):
        beside = lines[end.line][end.column :].strip()
        above = _header([line.strip() for line in reversed(lines[first : start.line])])
        found = [beside] if beside.startswith("#") else []
        if above:
            found.append(" ".join(line.lstrip("# ") for line in reversed(above)))
        if found:
            yield key, ". ".join(words.lstrip("# ") for words in found)


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the dotted keys of a parsed text, where each begins and where its value ends."""
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        dotted = f"{path}{key.value}"
        if isinstance(value, yaml.MappingNode):
            yield from _leaves(value, f"{dotted}.")
        else:
            yield dotted, key.start_mark, value.end_mark


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
