"""The sections of a network's landscape: slices along random and along principal directions.

Shapes: steps along the first and the second direction C and R, points of a path N.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from optlab.landscape.directions import Principal, Weights, principal, random_direction
from optlab.landscape.retraced import Retraced
from optlab.landscape.slices import line, plane
from optlab.report.charts import Axis, Chart, Field, Series
from optlab.report.charts.styles import COLOURS, Style
from optlab.report.page import Column, Section, Table

Array = npt.NDArray[np.float64]

MARGIN = 0.25  # of the region that a path spans, on each side
END = Style("#000000", "-", "*")


@dataclass(frozen=True)
class Mapped:
    """A part of a landscape.

    Attributes:
        section: What the page shows.
        tables: The numbers behind it, for files alone.
    """

    section: Section
    tables: tuple[Table, ...]


def around_end(run: Retraced, points: int, span: float, seed: int) -> Mapped:
    """Return slices along two random directions through the end of a run.

    Args:
        run: The run.
        points: Points along each direction.
        span: How far to go to each side, in lengths of the weights.
        seed: Of the directions.
    """
    weights = run.path[-1]
    directions = [random_direction(weights, seed, number) for number in range(2)]
    steps = np.linspace(-span, span, points)
    values = _plane(run, directions, (steps, steps))
    title = "step along direction {} (1: as long as the weights, filter by filter)"
    first, second = (Axis(title.format(number + 1)) for number in range(2))
    centre = Series("the end", np.zeros(1), np.zeros(1), look=END, kind="points")
    chart = Chart(
        "landscape_random",
        "Training loss along two random directions",
        "A star is where the run ended. Filter by filter a random direction is as long as the "
        "weights, so that slices of networks of other scales can be compared (Li et al. 2018); "
        "biases and the scales of normalization stay." + _statistics(run),
        first,
        second,
        (centre,),
        field=_field(steps, steps, values),
    )
    section = Section(
        "random_slices",
        "Along random directions",
        (f"Random directions of seed {seed}; another --seed shows others.",),
        (_lines(run, directions[0], np.linspace(-span, span, 2 * points - 1)), chart),
    )
    return Mapped(section, (_grid("landscape_random", steps, steps, values),))


def along_path(run: Retraced, points: int) -> Mapped | None:
    """Return the plane in which a run's path lies best; None for a path of two points."""
    if len(run.path) < 3:
        return None
    found = principal(run.path)
    coordinates = found.coordinates.numpy()
    steps = _span(coordinates[:, 0], points), _span(coordinates[:, 1], points)
    values = _plane(run, found.directions, steps)
    section = Section(
        "path",
        "Along the path of the training",
        (
            f"The plane holds {sum(found.explained):.0%} of the squared distance of "
            f"{len(run.path)} points of the path from its end. A path of many weights lies in few "
            "directions by nature; what the plane does not hold is not seen.",
        ),
        (_path_chart(run, found, coordinates, steps, values),),
    )
    grid = _grid("landscape_path", steps[0], steps[1], values)
    return Mapped(section, (grid, _path_table(run, coordinates)))


def _path_chart(
    run: Retraced,
    found: Principal,
    coordinates: Array,
    steps: tuple[Array, Array],
    values: Array,
) -> Chart:
    texts = tuple(f"epoch {epoch:g}" for epoch in run.epochs)
    x, y = coordinates.T
    path = Series("path", x, y, look=Style(COLOURS[1], "-", "o"), texts=texts)
    end = Series("the end", x[-1:], y[-1:], look=END, kind="points")
    first, second = (
        Axis(f"principal direction {number} ({share:.0%}), distance of weights")
        for number, share in enumerate(found.explained, start=1)
    )
    return Chart(
        "landscape_path",
        "Training loss in the plane of the path",
        "Points are the weights at evaluations, projected onto the plane; contours are the loss "
        "in the plane itself, so that of a point of the path may be another." + _statistics(run),
        first,
        second,
        (path, end),
        field=_field(steps[0], steps[1], values),
    )


def _lines(run: Retraced, direction: Weights, steps: Array) -> Chart:
    module, objective, data = run.parts.module, run.parts.objective, run.parts.data
    series = tuple(
        Series(
            f"{name} loss",
            steps,
            line(module, objective, split, direction, steps),
            look=Style(colour, style),
        )
        for name, split, colour, style in (
            ("training", data.train, COLOURS[0], "-"),
            ("validation", data.val, COLOURS[1], (0, (4, 1.5))),
        )
    )
    return Chart(
        "landscape_line",
        "Loss along one random direction",
        "The run ended at 0. Wide and flat, or narrow and steep?",
        Axis("step along direction 1 (1: as long as the weights, filter by filter)"),
        Axis("loss"),
        series,
        can_be_log=True,
    )


def _plane(run: Retraced, directions: Sequence[Weights], steps: tuple[Array, Array]) -> Array:
    parts = run.parts
    return plane(parts.module, parts.objective, parts.data.train, directions, steps)


def _field(x: Array, y: Array, values: Array) -> Field:
    finite = values[np.isfinite(values)]
    is_log = bool(len(finite)) and float(finite.min()) > 0
    return Field(x, y, values, "training loss", is_log)


def _span(places: Array, points: int) -> Array:
    low, high = float(places.min()), float(places.max())
    room = MARGIN * max(high - low, 1e-12)
    return np.linspace(low - room, high + room, points)


def _statistics(run: Retraced) -> str:
    if any(True for _ in run.parts.module.buffers()):
        return " Running statistics are those of the end everywhere."
    return ""


def _grid(name: str, x: Array, y: Array, values: Array) -> Table:
    rows = [
        (float(a), float(b), float(values[row, column]))
        for row, b in enumerate(y)
        for column, a in enumerate(x)
    ]
    columns = (
        Column("along direction 1", "x"),
        Column("along direction 2", "y"),
        Column("training loss", "loss"),
    )
    return Table(name, "Points of the map", "", columns, rows)


def _path_table(run: Retraced, coordinates: Array) -> Table:
    rows = [
        (epoch, float(x), float(y)) for epoch, (x, y) in zip(run.epochs, coordinates, strict=True)
    ]
    columns = (
        Column("epoch", "epoch"),
        Column("along direction 1", "x"),
        Column("along direction 2", "y"),
    )
    return Table("landscape_path_points", "Points of the path", "", columns, rows)
