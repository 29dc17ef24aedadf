"""How each optimizer looks: a colour, a line and a marker of its own, the same in every panel."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from optlab.figures.settings import COLOURS, GREY, SETTINGS, SHADES

__all__ = [
    "COLOURS",
    "GREY",
    "LINES",
    "LINE_SHADES",
    "MARKERS",
    "REST",
    "SETTINGS",
    "SHADES",
    "TWO_SIDED",
    "Style",
    "styles",
]

#: Once through the colours with each; a colour comes again only with another line and marker.
LINES = ("-", (0, (4, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h", "p", "d", "8", "*")
#: Of values on two sides of a middle, told apart with any colour vision.
TWO_SIDED = ("#0072B2", "#7DB3D5", "#F4F3EF", "#EBA77D", "#D55E00")
#: Of lines, which must be seen on white and on black.
LINE_SHADES = ("#0072B2", "#6B93AD", "#A9A6A0", "#C08456", "#D55E00")


@dataclass(frozen=True)
class Style:
    """The look of one optimizer; what has no marker has no entry of its own in a legend."""

    color: str
    linestyle: Any = "-"
    marker: str = ""

    @property
    def of_line(self) -> dict[str, Any]:
        """Keyword arguments of a line."""
        return {"color": self.color, "linestyle": self.linestyle, "marker": self.marker}


REST = Style(GREY)


def styles(optimizers: Iterable[str]) -> dict[str, Style]:
    """Return the style of each optimizer, by alphabet; beyond two rounds of colours all are grey.

    Args:
        optimizers: Names, the most important first; a name may come again.
    """
    names = list(dict.fromkeys(optimizers))
    distinct = sorted(names[: len(MARKERS)])
    looks = {
        name: Style(COLOURS[i % len(COLOURS)], LINES[i // len(COLOURS)], MARKERS[i])
        for i, name in enumerate(distinct)
    }
    return {name: looks.get(name, REST) for name in names}
