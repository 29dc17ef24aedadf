"""Values over the plane behind a chart, as matplotlib draws them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap

from optlab.report.charts import Array, Field
from optlab.report.charts.shades import shades
from optlab.report.pictures.texts import plain

LEVELS = 20
COLOURS = LinearSegmentedColormap.from_list("field", ["#FDFDFB", "#B0AEA6"], N=LEVELS)


def draw_field(axes: Axes, field: Field) -> ScalarMappable:
    """Draw filled contours: an image in few colours, a hundredth of the work of as many paths."""
    shade = shades(field.values, field.is_log)
    axes.grid(visible=False)
    look: dict[str, Any] = {"cmap": COLOURS, "vmin": shade.low, "vmax": shade.high}
    if not (_is_even(field.x) and _is_even(field.y)):
        return axes.pcolormesh(field.x, field.y, shade.places, rasterized=True, **look)
    halves = np.array([-0.5, 0.5])
    across = field.x[[0, -1]] + halves * (field.x[1] - field.x[0])
    upward = field.y[[0, -1]] + halves * (field.y[1] - field.y[0])
    return axes.imshow(
        shade.places,
        origin="lower",
        extent=(*across, *upward),
        aspect="auto",
        interpolation="bilinear",
        interpolation_stage="data",
        **look,
    )


def draw_bar(axes: Sequence[Axes], field: Field, filled: ScalarMappable, rows: int = 1) -> None:
    """Draw the bar of a field beside the charts that have it, in so many rows."""
    look: dict[str, Any] = {"aspect": 30, "pad": 0.02, "fraction": 0.03, "shrink": 0.9 / rows}
    bar = axes[0].figure.colorbar(filled, ax=list(axes), anchor=(0, 1), **look)
    bar.set_label(plain(field.title))
    bar.outline.set_visible(False)
    ticks = shades(field.values, field.is_log).ticks
    if ticks:
        bar.set_ticks([at for at, _ in ticks], labels=[text for _, text in ticks])


def is_shared(fields: Sequence[Field | None]) -> bool:
    """Whether charts have the same colours for the same values, and so one bar."""
    there = [field for field in fields if field is not None]
    ends = {(s.low, s.high) for s in (shades(f.values, f.is_log) for f in there)}
    return len(there) == len(fields) and len(ends) == 1


def _is_even(places: Array) -> bool:
    gaps = np.diff(places)
    return len(gaps) > 0 and bool(np.allclose(gaps, gaps[0]))
