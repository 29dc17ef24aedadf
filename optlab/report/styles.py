"""How each optimizer looks: a colour, a line and a marker of its own, the same in every panel."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

#: Okabe and Ito (2008), told apart with any colour vision; yellow left out, too light on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
#: Once through the colours with each; a colour comes again only with another line and marker.
LINES = ("-", (0, (4, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h", "p", "d", "8", "*")
GREY = "#B0B0B0"

#: Settings of matplotlib. At 900 pixels' width a point is 1.4 pixels: no text below 11 pixels.
SETTINGS: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "figure.titlesize": 10,
    "figure.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "legend.handlelength": 3.0,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "lines.solid_capstyle": "butt",
    "lines.markeredgecolor": "white",
    "lines.markeredgewidth": 0.6,
}


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
