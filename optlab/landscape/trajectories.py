"""A section of the report: every optimizer's path over the contours of a test function."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from optlab.identity import config_hash
from optlab.landscape.paths import Start, Walk, best_walks, walks
from optlab.landscape.surfaces import Map
from optlab.report.cells import Cell
from optlab.report.charts import Axis, Chart, Figure, Mark, Panels, Series, Views
from optlab.report.charts.styles import COLOURS, Style
from optlab.report.evidence import Evidence
from optlab.report.page import Column, Section, Table

COLUMNS = 4
MOST_RATES = 6  # views of single learning rates beside that of the best ones
MOST_AT_A_RATE = 12  # panels of such a view: each is drawn three times over


def trajectories(evidence: Evidence) -> Section | None:
    """Show the paths over each test function of the runs; None where there is none."""
    figures: list[Figure] = []
    tables: list[Table] = []
    for name, ground, cells in _functions(evidence):
        every = walks(evidence, cells, ground)
        if every and ground.minima.shape[1] <= 2:
            figures += [_views(name, ground, every), _sensitivity(name, evidence, every)]
            tables.append(_table(name, every))
    if not figures:
        return None
    return Section(
        "trajectories",
        "Paths over test functions",
        (
            "Nothing is tuned or clipped but what varied in these runs: the first view shows, of "
            "what was tried, the options of each optimizer that end lowest over all starts "
            "(geometric mean of the height above the minimum); the others show one learning rate "
            "for all.",
        ),
        tuple(figure for figure in figures),
        tuple(tables),
        after="curves",
    )


def _functions(evidence: Evidence) -> list[tuple[str, Map, list[Cell]]]:
    """Return name, map and cells of every test function among the runs."""
    found: dict[str, tuple[str, Map, list[Cell]]] = {}
    for cell in evidence.ranking.cells:
        record = next(iter(evidence.of(cell)), None)
        ground = None if record is None else Map.of(record.config)
        if record is None or ground is None:
            continue
        task = record.config["task"]
        place = found.setdefault(config_hash(task, ()), (str(task["name"]), ground, []))
        place[2].append(cell)
    counts = [name for name, _, _ in found.values()]
    return [
        (name if counts.count(name) == 1 else f"{name}_{identity}", ground, cells)
        for identity, (name, ground, cells) in found.items()
    ]


def _views(name: str, ground: Map, every: Sequence[Walk]) -> Views:
    best = best_walks(every)
    order = [walk.optimizer for walk in best]
    rates = sorted({walk.lr for walk in every if not math.isnan(walk.lr)})
    choices = {"best of each optimizer": best}
    if 1 < len(rates) <= MOST_RATES:
        for rate in rates:
            own = best_walks([walk for walk in every if walk.lr == rate])
            own.sort(key=lambda walk: order.index(walk.optimizer))
            choices[f"lr={rate:g}"] = own[:MOST_AT_A_RATE]
    panels: Mapping[str, Panels] = {
        title: _panels(f"{name}_paths", f"{name}: {title}", ground, own)
        for title, own in choices.items()
    }
    return Views(
        f"{name}_paths",
        f"Paths over {name}",
        "A path begins at a circle and ends at a cross; stars are the minima. A path that leaves "
        f"the map is cut off at its edge. At one learning rate for all, the {MOST_AT_A_RATE} best "
        "optimizers are shown, in the same order.",
        panels,
        "options",
    )


def _panels(name: str, title: str, ground: Map, own: Sequence[Walk]) -> Panels:
    starts = sorted({start for walk in own for start in walk.paths})
    is_plane = ground.minima.shape[1] == 2
    charts = (_over_plane if is_plane else _over_time)(name, ground, own, starts)
    return Panels(name, title, "The optimizer that ends lowest comes first.", charts, COLUMNS)


def _over_plane(
    name: str, ground: Map, own: Sequence[Walk], starts: Sequence[Start]
) -> tuple[Chart, ...]:
    region = ground.region(np.array(starts))
    field = ground.field(region)
    x, y = ground.minima.T
    stars = Series("minimum", x, y, look=Style("#000000", "-", "*"), kind="points")
    return tuple(
        Chart(
            f"{name}_{place}",
            _title(walk),
            "",
            Axis("x", ends=region[0]),
            Axis("y", ends=region[1]),
            (*_lines(walk, starts), stars),
            field=field,
        )
        for place, walk in enumerate(own)
    )


def _over_time(
    name: str, ground: Map, own: Sequence[Walk], starts: Sequence[Start]
) -> tuple[Chart, ...]:
    """Show the one variable over updates."""
    marks = tuple(Mark(float(x), "y", "minimum") for (x,) in ground.minima)
    low, high = ground.region(np.array(starts))[0]
    return tuple(
        Chart(
            f"{name}_{place}",
            _title(walk),
            "",
            Axis("updates"),
            Axis("x", ends=(low, high)),
            tuple(
                Series(
                    _name(start),
                    path.updates,
                    path.points[:, 0],
                    look=Style(COLOURS[starts.index(start) % len(COLOURS)]),
                )
                for start, path in walk.paths.items()
            ),
            marks=marks,
        )
        for place, walk in enumerate(own)
    )


def _lines(walk: Walk, starts: Sequence[Start]) -> list[Series]:
    series = []
    for start, path in sorted(walk.paths.items()):
        colour = COLOURS[starts.index(start) % len(COLOURS)]
        x, y = path.points.T
        series.append(Series(_name(start), x, y, look=Style(colour)))
        for at, marker in ((0, "o"), (-1, "X")):
            end = (x[[at]], y[[at]])
            series.append(Series("", *end, look=Style(colour, "-", marker), kind="points"))
    return series


def _name(start: Start) -> str:
    return f"from ({', '.join(f'{x:g}' for x in start)})"


def _title(walk: Walk) -> str:
    lost = sum(path.is_lost for path in walk.paths.values())
    said = f"; {lost} of {len(walk.paths)} diverged" if lost else ""
    return f"{walk.label}: {walk.height:.2g}{said}"


def _sensitivity(name: str, evidence: Evidence, every: Sequence[Walk]) -> Chart:
    """Return heights at the end over learning rates, the best other options at each."""
    series = []
    for optimizer in (walk.optimizer for walk in best_walks(every)):
        own: dict[float, float] = {}
        for walk in every:
            if walk.optimizer == optimizer and not math.isnan(walk.lr):
                own.setdefault(walk.lr, walk.height)
        x = np.array(sorted(own), np.float64)
        y = np.array([own[lr] for lr in sorted(own)], np.float64)
        series.append(Series(optimizer, x, y, look=evidence.looks[optimizer]))
    return Chart(
        f"{name}_heights",
        f"{name}: where they end, by learning rate",
        "Geometric mean over starts of the height above the minimum at the end; what diverged "
        "counts as if it had stayed where it began.",
        Axis("learning rate", "log"),
        Axis("loss above its minimum", "log"),
        tuple(series),
    )


def _table(name: str, every: Sequence[Walk]) -> Table:
    rows = [
        (
            walk.optimizer,
            walk.label,
            walk.height,
            max(path.height for path in walk.paths.values()),
            len(walk.paths),
            sum(path.is_lost for path in walk.paths.values()),
        )
        for walk in every
    ]
    columns = (
        Column("optimizer", "optimizer"),
        Column("options", "options"),
        Column("height at the end, geometric mean", "height_geometric_mean"),
        Column("from the worst start", "height_worst"),
        Column("starts", "starts"),
        Column("diverged", "diverged"),
    )
    return Table(
        f"{name}_heights",
        f"{name}: height above the minimum at the end",
        "Each row is one optimizer with certain options, over all starts.",
        columns,
        rows,
    )
