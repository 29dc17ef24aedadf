"""Configurations as YAML, section by section: what thousands of runs share is done once.

The runs of a sweep differ in a few of their top-level sections, and YAML is slow: a millisecond for
a configuration, a fiftieth of that where its sections are known.
"""

import functools
import re
from collections.abc import Mapping
from typing import Any

import yaml  # type: ignore[import-untyped]

#: Sections that are remembered; each takes about a kilobyte.
REMEMBERED = 4096

#: How deep sections may lie in one another.
DEEPEST = 40

#: Before every line that can begin a section of a mapping in block style.
BEGINNING = re.compile(r"^(?=[^\s#\-])", re.MULTILINE)

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same, four times as fast
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def to_yaml(config: Mapping[str, Any]) -> str:
    """Return a configuration as YAML, in its own order."""
    return "".join(_written(name, _Section(value)) for name, value in config.items())


def from_yaml(content: bytes) -> Any:
    """Return what YAML says, also where no configuration wrote it.

    Equal sections of several configurations are one object: read them, change nothing.

    Raises:
        yaml.YAMLError: When it is no YAML.
    """
    try:
        found: dict[str, Any] = {}
        for text in BEGINNING.split(content.decode()):
            found |= _read(text)
        if found:
            return found
    except (UnicodeDecodeError, yaml.YAMLError, TypeError):
        pass  # it cannot be cut there
    return _loaded(content)


def refuse_growth(text: str | bytes) -> None:
    """Refuse YAML that is small and becomes large, or too deep for what reads it.

    PyYAML's parser in C would end the process over the one; aliases of aliases fill the memory.

    Raises:
        yaml.YAMLError: For such a text, and for one that is no YAML.
    """
    depth = 0
    for event in yaml.parse(text, LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise yaml.YAMLError(f"more than {DEEPEST} sections lie in one another")
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError(f"it has an alias, *{event.anchor}: write out what it stands for")


def _loaded(text: str | bytes) -> Any:
    refuse_growth(text)
    try:
        return yaml.load(text, LOADER)
    except (ValueError, LookupError, AttributeError) as error:  # a value that is not of its tag
        raise yaml.YAMLError(f"{type(error).__name__}: {error}") from error


class _Section:
    """The value of a section, equal to another one that is written alike."""

    def __init__(self, value: Any) -> None:
        self.value, self._text = value, repr(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Section) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


@functools.lru_cache(maxsize=REMEMBERED)
def _written(name: str, section: _Section) -> str:
    text: str = yaml.dump({name: section.value}, Dumper=DUMPER, sort_keys=False)
    return text


@functools.lru_cache(maxsize=REMEMBERED)
def _read(text: str) -> Mapping[str, Any]:
    """Return one section.

    Raises:
        yaml.YAMLError, TypeError: When the text is not whole, or no part of a mapping.
    """
    found = _loaded(text) if text.strip() else {}
    if found is None:  # comments alone
        return {}
    if not isinstance(found, Mapping):
        raise TypeError(f"a section is a mapping, got {text!r}")
    return found
