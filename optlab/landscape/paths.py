"""The paths that optimizers took over a test function, from each of their starts.

Shapes: updates N, variables D.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from optlab.landscape.surfaces import Map
from optlab.records import RunRecord
from optlab.report.cells import LEARNING_RATE, START, Cell
from optlab.report.evidence import Evidence

Array = npt.NDArray[np.float64]
Start = tuple[float, ...]

#: Points of a path that are drawn, those after longer ways before others.
MOST_POINTS = 160
SMALLEST = 1e-16  # of a height, for its logarithm


@dataclass(frozen=True, eq=False)
class Path:
    """One run's way.

    Attributes:
        updates: Updates made at each point, (N).
        points: Where it was, (N, D); of a long way a part, the first and the last among them.
        height: How far above the minimum it ended, no further than it began; of a run that
            diverged, where it began.
        is_lost: Whether it diverged.
    """

    updates: Array
    points: Array
    height: float
    is_lost: bool


@dataclass(frozen=True, eq=False)
class Walk:
    """What one optimizer with certain options did from every start.

    Attributes:
        optimizer: What it is called.
        label: What its options are called.
        lr: Its learning rate; nan where it has none.
        paths: Its path from each start.
    """

    optimizer: str
    label: str
    lr: float
    paths: Mapping[Start, Path]

    @property
    def height(self) -> float:
        """Geometric mean over starts of the heights at which it ended."""
        logs = [math.log(max(path.height, SMALLEST)) for path in self.paths.values()]
        return math.exp(sum(logs) / len(logs))


def walks(evidence: Evidence, cells: Sequence[Cell], ground: Map) -> list[Walk]:
    """Return the walks of some cells of one test function, the lowest end first.

    Cells that differ in their start alone are one walk. Of several seeds the first is shown.
    """
    coordinates = [evidence.rows(f"point/x{i}") for i in range(ground.minima.shape[1])]
    found: dict[str, Walk] = {}
    for cell in cells:
        record = next(iter(evidence.of(cell)), None)
        columns = [] if record is None else [rows.get(record.folder) for rows in coordinates]
        if record is None or not columns or any(column is None for column in columns):
            continue
        known = [column for column in columns if column is not None]
        points = np.stack([column["value"].to_numpy() for column in known], axis=1)
        updates = known[0]["update"].to_numpy().astype(np.float64)
        name = cell.label  # which leaves the start out, as it makes another group
        rate = cell.key.get(LEARNING_RATE)
        lr = float(rate) if isinstance(rate, int | float) else math.nan
        walk = found.setdefault(name, Walk(cell.optimizer, name, lr, {}))
        paths = {**walk.paths, start_of(record): _path(updates, points, record, ground)}
        found[name] = replace(walk, paths=paths)
    return sorted(found.values(), key=lambda walk: walk.height)


def start_of(record: RunRecord) -> Start:
    """Return where a run's point began."""
    return tuple(float(x) for x in record.options[START])


def best_walks(every: Sequence[Walk]) -> list[Walk]:
    """Return the walk of each optimizer that ended lowest, the lowest first."""
    best: dict[str, Walk] = {}
    for walk in every:
        best.setdefault(walk.optimizer, walk)
    return list(best.values())


def _path(updates: Array, points: Array, record: RunRecord, ground: Map) -> Path:
    is_lost = record.result.status != "done"
    began = float(ground.heights(points[:1])[0])
    ended = float(ground.heights(points[-1:])[0])
    height = ended if math.isfinite(ended) and not is_lost else began
    shown = _shown(points)
    return Path(updates[shown], points[shown], min(height, began), is_lost)


def _shown(points: Array) -> npt.NDArray[np.intp]:
    """Return the numbers of few points that stand evenly along the way, so that turns are kept."""
    finite = np.flatnonzero(np.isfinite(points).all(axis=1))
    known = points[finite]
    if len(known) <= MOST_POINTS:
        return finite
    steps = np.linalg.norm(np.diff(known, axis=0), axis=1)
    # Evenly in time as well: of a way that ends in a long creep something must be left.
    along = np.concatenate([[0.0], np.cumsum(steps / max(steps.sum(), SMALLEST) + 1 / len(steps))])
    wanted = np.linspace(0.0, along[-1], MOST_POINTS)
    kept = np.unique(np.searchsorted(along, wanted).clip(max=len(known) - 1))
    return np.asarray(finite[kept])
