"""What a figure shows, and nothing of how it is drawn.

A chart is built once; `optlab.report.html` draws it for the page and `optlab.report.pictures` as
SVG and PNG. Values may be nan (not known, left out) or infinite (a run that has none: what draws a
chart shows at the edge that it is there).

Shapes: points N, rows R, columns C, axes A.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from optlab.report.charts.styles import REST, Style

Array = npt.NDArray[np.float64]

#: ``"odds"`` tells accuracies of 0.98 and 0.99 apart: see `optlab.report.charts.scales`.
Scale = Literal["linear", "log", "odds", "names"]


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        title: What it shows, with its unit where it has one: ``"training time (s)"``.
        scale: How values lie on it.
        names: Of the places 0, 1, ... of an axis of names, from the left or from above.
        ends: Lowest and highest value shown; by default all are.
    """

    title: str
    scale: Scale = "linear"
    names: tuple[str, ...] = ()
    ends: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Series:
    """Points that belong together, and look alike.

    Attributes:
        name: In the legend; series of one name are shown and hidden together. "" has no entry.
        x, y: Where the points are, (N).
        low, high: Ends of a band around a line, or of each point's vertical interval, (N).
        left, right: Ends of each point's horizontal interval, (N).
        look: Colour, line and marker.
        kind: ``"line"`` through the points, ``"steps"`` that stay until the next point, or
            ``"points"`` alone.
        texts: What is said of each point on hover, (N) or none.
        is_shown: Whether it is visible at first; a reader of the page may show it.
    """

    name: str
    x: Array
    y: Array
    low: Array | None = None
    high: Array | None = None
    left: Array | None = None
    right: Array | None = None
    look: Style = REST
    kind: Literal["line", "points", "steps"] = "line"
    texts: tuple[str, ...] = ()
    is_shown: bool = True


@dataclass(frozen=True)
class Mark:
    """A straight line across a chart.

    Attributes:
        at: Where.
        along: The axis that it crosses: ``"x"`` is a vertical line.
        text: What stands beside it.
    """

    at: float
    along: Literal["x", "y"]
    text: str = ""


@dataclass(frozen=True, eq=False)
class Field:
    """Values over the plane behind a chart's series, as filled contours.

    Attributes:
        x, y: Where the values are, (C) and (R).
        values: Values, (R, C).
        title: What they are, with the unit.
        is_log: Whether contours are even in the logarithm.
    """

    x: Array
    y: Array
    values: Array
    title: str
    is_log: bool = False


@dataclass(frozen=True, eq=False)
class Chart:
    """Series over two axes.

    Attributes:
        name: Of its files, in lower case with underscores, unique in a report.
        title: What it shows, in a few words.
        caption: How to read it, in sentences.
        x, y: The axes.
        series: What is drawn, the last on top.
        marks: Lines across.
        field: What lies behind.
        can_be_log: Whether a reader of the page is given a switch of the y axis to a logarithm.
        x_can_be_log: The same of the x axis.
    """

    name: str
    title: str
    caption: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    marks: tuple[Mark, ...] = ()
    field: Field | None = None
    can_be_log: bool = False
    x_can_be_log: bool = False


@dataclass(frozen=True, eq=False)
class Heatmap:
    """A value for each pair of names.

    Attributes:
        name, title, caption: As of a `Chart`.
        x, y: Axes of names, C and R of them; the first row is the upper one.
        values: Values, (R, C); nan where there is none.
        texts: What stands in each place, R rows of C.
        value_title: What the values are, with the unit.
        middle: A value that is neither good nor bad, from which colours go two ways.
        is_log: Whether colours are even in the logarithm.
    """

    name: str
    title: str
    caption: str
    x: Axis
    y: Axis
    values: Array
    texts: tuple[tuple[str, ...], ...]
    value_title: str
    middle: float | None = None
    is_log: bool = False


@dataclass(frozen=True, eq=False)
class Parallel:
    """Many values of each cell or run, as a line across one axis for each (parallel coordinates).

    Attributes:
        name, title, caption: As of a `Chart`.
        axes: The axes, A.
        values: Where each line crosses them, (N, A); places of names on axes of names.
        colours: What lines are coloured by, (N).
        colour_title: What that is, with the unit.
    """

    name: str
    title: str
    caption: str
    axes: tuple[Axis, ...]
    values: Array
    colours: Array
    colour_title: str


@dataclass(frozen=True, eq=False)
class Panels:
    """Charts side by side with one legend, read together (small multiples)."""

    name: str
    title: str
    caption: str
    charts: tuple[Chart, ...]
    columns: int = 4


@dataclass(frozen=True, eq=False)
class Views:
    """One of several figures at a time: the page has a switch, pictures are of all.

    Attributes:
        name, title, caption: As of a `Chart`; those of the figures inside stand with each.
        choices: The figures by what the switch calls them, the first shown at first.
        kind: What is chosen: ``"axis"``, ``"task"``.
    """

    name: str
    title: str
    caption: str
    choices: Mapping[str, "Chart | Heatmap | Parallel | Panels"] = field(default_factory=dict)
    kind: str = "view"


Figure = Chart | Heatmap | Parallel | Panels | Views
