"""How a series looks, in plotly's words."""

from typing import Any

from optlab.report.charts.styles import Style

WIDTH, MARKER, CROSS = 1.8, 7, 8  # pixels
#: By matplotlib's names, which `Style` has.
SYMBOLS = {
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "D": "diamond",
    "v": "triangle-down",
    "P": "cross",
    "X": "x",
    "<": "triangle-left",
    ">": "triangle-right",
    "h": "hexagon2",
    "p": "pentagon",
    "d": "diamond-tall",
    "8": "octagon",
    "*": "star",
}
#: Those of which less is inside a square of the same size are drawn larger.
LARGER = {"triangle": 2, "diamond": 1, "cross": 1, "x": 1, "star": 4, "hexagon": 1, "pentagon": 1}


def line(look: Style) -> dict[str, Any]:
    """Return a line."""
    return {"color": look.color, "width": WIDTH, "dash": dash(look)}


def dash(look: Style) -> str:
    """Return the dashes of a line: ``"solid"`` or lengths in pixels."""
    if isinstance(look.linestyle, str):
        return {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}.get(
            look.linestyle, "solid"
        )
    return ",".join(f"{WIDTH * length:g}px" for length in look.linestyle[1])


def marker(look: Style) -> dict[str, Any]:
    """Return a marker; a look without one is a dot."""
    symbol = SYMBOLS.get(look.marker, "circle")
    size = MARKER + LARGER.get(symbol.partition("-")[0].rstrip("2"), 0)
    return {"color": look.color, "symbol": symbol, "size": size}


def cross(look: Style) -> dict[str, Any]:
    """Return the cross that stands for a point without a place."""
    return {"symbol": "x-thin", "size": CROSS, "line": {"width": 2, "color": look.color}}
