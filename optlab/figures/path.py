"""The way of an optimizer over a test function, from its own formula.

Shapes: updates N, variables D, grid (R, C).
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from optlab.figures.canvas import WIDTH
from optlab.figures.settings import COLOURS, SHADES

Array = npt.NDArray[np.float64]
#: Values of a function at points (N, D), in (N,).
Function = Callable[[Array], Array]

RESOLUTION = 121
MARGIN = 0.25  # of the region, on each side
NARROWEST = 0.6  # extent of a variable, as a share of the largest
FARTHEST = 4.0  # a path that leaves the region of start and minima so far is not followed
SMALLEST = 1e-16  # of a height, for its logarithm
LEVELS = 14


def path(function: Function, minima: Array, updates: Array, points: Array) -> Figure:
    """Return where an optimizer went over the contours, and how high it was after each update.

    Args:
        function: The function, of one or two variables.
        minima: Its global minima, (M, D).
        updates: Updates made at each point, (N).
        points: Where it was, (N, D); the last ones may be infinite.
    """
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    lowest = float(function(minima).min())
    is_there = np.isfinite(points).all(axis=1)
    updates, points = updates[is_there], points[is_there]
    with np.errstate(over="ignore", invalid="ignore"):
        heights = np.maximum(function(points) - lowest, SMALLEST)
    region = _region(points, minima)
    if minima.shape[1] == 1:
        _draw_line(left, function, region[0])
        left.plot(points[:, 0], function(points), ".-", color=COLOURS[1], markeredgewidth=0)
        left.plot(minima[:, 0], function(minima), "*", color=COLOURS[2], markersize=12)
    else:
        _draw_contours(figure, left, function, lowest, region)
        left.plot(*points.T, color="white", linewidth=3)
        left.plot(*points.T, ".-", color=COLOURS[1], markersize=4, markeredgewidth=0)
        left.plot(*minima.T, "*", color=COLOURS[2], markersize=12, linestyle="")
        _name_ends(left, updates, points)
    _limit(left, region)
    left.set_title("path (orange) and global minima (green stars)")
    right.plot(updates, heights, color=COLOURS[1])
    right.set_yscale("log")
    right.set(xlabel="update", ylabel="height above the minimum")
    right.set_title("height along the path")
    return figure


def _region(points: Array, minima: Array) -> Array:
    """Return lowest and highest value shown of each variable, (D, 2)."""
    ends = np.concatenate([points[:1], minima])
    middle, reach = ends.mean(axis=0), FARTHEST * np.maximum(np.ptp(ends, axis=0), 1.0)
    near = points[(np.abs(points - middle) <= reach).all(axis=1)]
    shown = np.concatenate([near, ends])
    low, high = shown.min(axis=0), shown.max(axis=0)
    widest = max(float((high - low).max()), SMALLEST)
    half = (0.5 + MARGIN) * np.maximum(high - low, NARROWEST * widest)
    return np.stack([(low + high) / 2 - half, (low + high) / 2 + half], axis=1)


def _limit(axes: Axes, region: Array) -> None:
    axes.set_xlim(*region[0])
    axes.set_xlabel("$x_0$")
    if len(region) > 1:
        axes.set_ylim(*region[1])
        axes.set_ylabel("$x_1$")
    else:
        axes.set_ylabel("function")


def _draw_line(axes: Axes, function: Function, ends: Array) -> None:
    x = np.linspace(ends[0], ends[1], 4 * RESOLUTION)
    axes.plot(x, function(x[:, None]), color=COLOURS[0])


def _draw_contours(
    figure: Figure, axes: Axes, function: Function, lowest: float, region: Array
) -> None:
    x, y = (np.linspace(low, high, RESOLUTION) for low, high in region.tolist())
    points = np.stack(np.meshgrid(x, y), axis=-1)
    heights = np.maximum(function(points.reshape(-1, 2)) - lowest, 0).reshape(points.shape[:2])
    # Even in the logarithm, from the lowest thousandth part on: below, rounding would show.
    ends = np.log10(np.maximum([np.quantile(heights, 0.002), heights.max()], SMALLEST))
    levels = np.linspace(min(ends[0], ends[1] - 1), ends[1], LEVELS)
    colours = LinearSegmentedColormap.from_list("shades", SHADES[::-1])
    logarithms = np.log10(np.maximum(heights, 10 ** levels[0]))
    drawn = axes.contourf(x, y, logarithms, levels=levels, cmap=colours)
    figure.colorbar(drawn, ax=axes, label="log10 of the height above the minimum", format="%.1f")
    axes.grid(visible=False)


def _name_ends(axes: Axes, updates: Array, points: Array) -> None:
    for place in dict.fromkeys((0, len(points) - 1)):
        axes.annotate(
            f"update {int(updates[place]):,}",
            points[place],
            xytext=(6, 6),
            textcoords="offset points",
            annotation_clip=True,
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "linewidth": 0, "alpha": 0.8},
        )
