"""Colours and settings of every picture that matplotlib draws here; imports nothing."""

from typing import Any

#: Okabe and Ito (2008), told apart with any colour vision; yellow left out, too light on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
GREY = "#B0B0B0"
#: Of values from low to high (ColorBrewer's YlGnBu): told apart with any colour vision.
SHADES = ("#FFFFD9", "#EDF8B1", "#C7E9B4", "#7FCDBB", "#41B6C4", "#1D91C0", "#225EA8", "#253494")

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
