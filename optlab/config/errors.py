"""The one error a user sees for something they typed, and the wording of its messages."""

import difflib
from collections.abc import Collection, Iterable

#: How many names a message gives of those that would do; of more it gives the number.
FEW = 4


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
    return ConfigError(f"unknown {kind} {name!r}; known, nearest first: {_listing(name, known)}")


def unknown_option(
    group: str, choice: str, name: str, known: Iterable[str], having: Collection[str]
) -> ConfigError:
    """Build the error for an option that a choice does not have.

    Args:
        group: The group of the configuration, such as ``"model"``.
        choice: What is chosen there.
        name: The option as typed.
        known: Every option that the choice has.
        having: Other choices of the group that have an option of this name.
    """
    if not having:
        return unknown_name(f"option of {group}", name, known)
    few = sorted(having)[: FEW if len(having) <= FEW else FEW - 1]
    more = [f"{len(having) - len(few)} more"] if len(having) > len(few) else []
    have = " and ".join([", ".join(few), *more]) + (" has" if len(having) == 1 else " have")
    return ConfigError(
        f"{group}={choice} has no option {name!r} ({have}); its options, nearest first: "
        f"{_listing(name, known)}"
    )


def _listing(name: str, known: Iterable[str]) -> str:
    return ", ".join(nearest(name, known)) or "none"
