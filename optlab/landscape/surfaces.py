"""Test functions as maps: the region that their runs are about, and values over it.

Shapes: points N, variables D, grid (R, C).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from optlab.build.sections import created
from optlab.registry import tasks
from optlab.report.charts import Field
from optlab.tasks.functions import Surface

Array = npt.NDArray[np.float64]

RESOLUTION = 61  # points of a map along each axis
MARGIN = 0.35  # of the region that starts and minima span, on each side
NEAREST = 1e-3  # of the largest height on the map: contours below would show rounding alone


@dataclass(frozen=True, eq=False)
class Map:
    """A test function as a run's configuration chooses it.

    Attributes:
        surface: The function.
        minima: Its global minima, (M, D).
        lowest: Its value there.
    """

    surface: Surface
    minima: Array
    lowest: float

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Map | None":
        """Return the map of a configuration's task, or None where that is no test function."""
        name = config["task"].get("name")
        if name not in tasks or not _is_surface(tasks.get(name)):
            return None
        surface = created(tasks, config, "task")
        minima = np.array(surface.MINIMA, np.float64)
        return cls(surface, minima, float(_values(surface, minima).min()))

    def heights(self, points: Array) -> Array:
        """Return how far above its minimum the function is at points (N, D), in (N,)."""
        return np.maximum(_values(self.surface, points) - self.lowest, 0.0)

    def region(self, starts: Array) -> tuple[tuple[float, float], ...]:
        """Return lowest and highest value shown of each variable, for starts (N, D)."""
        points = np.concatenate([starts, self.minima])
        low, high = points.min(axis=0), points.max(axis=0)
        room = MARGIN * np.maximum(high - low, 1.0)
        return tuple(zip((low - room).tolist(), (high + room).tolist(), strict=True))

    def field(self, region: Sequence[tuple[float, float]]) -> Field:
        """Return heights over a region of two variables, as contours even in the logarithm."""
        x, y = (np.linspace(low, high, RESOLUTION) for low, high in region)
        points = np.stack(np.meshgrid(x, y), axis=-1)  # (R, C, 2)
        heights = self.heights(points.reshape(-1, 2)).reshape(len(y), len(x))
        floor = NEAREST * float(heights.max())
        return Field(x, y, np.maximum(heights, floor), "loss above its minimum", is_log=True)


def _is_surface(entry: object) -> bool:
    return isinstance(entry, type) and issubclass(entry, Surface)


def _values(surface: Surface, points: Array) -> Array:
    with torch.no_grad():
        values: Array = surface.objective(torch.from_numpy(points)).double().numpy()
    return values
