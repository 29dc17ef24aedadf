"""Empty figures of one width, and figures as PNG."""

import io
import math
from collections.abc import Callable

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optlab.figures.settings import SETTINGS

#: Of a picture: 900 pixels, which a page shows as they are, and few enough for 100 kB.
WIDTH, DOTS_PER_INCH = 9.0, 100


def png(draw: Callable[[], Figure]) -> bytes:
    """Draw a figure under the settings of all and return it as a PNG.

    No pyplot: there is no display and no global state.
    """
    content = io.BytesIO()
    with matplotlib.rc_context(SETTINGS):
        draw().savefig(content, format="png", dpi=DOTS_PER_INCH)
    return content.getvalue()


def grid(count: int, columns: int, height: float, title: str) -> tuple[Figure, list[Axes]]:
    """Return a figure with so many axes side by side, row by row.

    Args:
        count: Number of axes.
        columns: Of a row at most.
        height: Of a row, in inches.
        title: Above all.
    """
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    width = WIDTH if columns > 1 else 0.6 * WIDTH
    figure = Figure(figsize=(width, 0.4 + height * rows), layout="constrained")
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for unused in axes[count:]:
        unused.set_axis_off()
    figure.suptitle(title, x=0.01, ha="left")
    return figure, list(axes[:count])
