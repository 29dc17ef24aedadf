"""Texts of users in a picture."""

import textwrap

from optlab.loggers.live_line import cut

LABEL_CHARACTERS = 44  # beside an axis


def plain(text: str) -> str:
    """Return a text that matplotlib shows as it is: dollars begin no formula."""
    return text.replace("$", r"\$")


def label(name: str) -> str:
    """Return a name beside an axis, cut where it is long; the tables have all of it."""
    return plain(cut(name, LABEL_CHARACTERS))


def unhidden(name: str) -> str:
    """Return a name for a legend, which leaves out those that begin with an underscore."""
    return f" {plain(name)}" if name.startswith("_") else plain(name)


def wrapped(title: str, width: int) -> str:
    """Return a title in lines of so many characters."""
    return plain(textwrap.fill(title, width))
