"""The one error a user sees for something they typed, and the wording of its messages."""

import difflib
from collections.abc import Iterable


class ConfigError(ValueError):
    """A value that a user gave cannot be used. The message is one sentence for a terminal."""


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return ``known`` ordered by likeness to ``name``, the most alike first."""

    def likeness(candidate: str) -> tuple[float, str]:
        ratio = difflib.SequenceMatcher(None, name.lower(), candidate.lower()).ratio()
        return (-ratio, candidate)

    return sorted(known, key=likeness)


def unknown_name(kind: str, name: str, known: Iterable[str]) -> ConfigError:
    """Build the error for a name that does not exist.

    Args:
        kind: What the name was taken for, such as ``"optimizer"`` or ``"option of optimizer"``.
        name: The name as typed.
        known: Every name that would have been accepted.
    """
    ordered = nearest(name, known)
    listing = ", ".join(ordered) if ordered else "none"
    return ConfigError(f"unknown {kind} {name!r}; known, nearest first: {listing}")
