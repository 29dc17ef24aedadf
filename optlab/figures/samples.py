"""Pictures with what a model takes them for: its most confident mistakes before all others."""

import math

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from optlab.figures.canvas import WIDTH
from optlab.figures.settings import COLOURS

ROWS, COLUMNS = 3, 8
SIDE, PITCH = 0.92, 1.2  # of an image, and between two rows, in widths of a column

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def order(true: Ints, predicted: Ints, certainty: Array, most: int = ROWS * COLUMNS) -> Ints:
    """Return places of rows to show: mistakes, the surest first, then the least sure right ones."""
    is_wrong = true != predicted
    keys = np.where(is_wrong, -certainty, certainty)
    return np.lexsort((keys, ~is_wrong))[:most]


def samples(
    images: Array, true: Ints, predicted: Ints, certainty: Array, num_mistakes: int
) -> Figure:
    """Return images with true class, predicted class and how sure the model is.

    Args:
        images: Gray (N, H, W) or coloured (N, H, W, 3), on any scale.
        true: Their classes, (N).
        predicted: What the model takes them for, (N).
        certainty: Probability that it gives that class, (N); nan where it has none.
        num_mistakes: Of all rows, of which these are some.
    """
    shown = images[: ROWS * COLUMNS]
    rows = math.ceil(len(shown) / COLUMNS)
    figure = Figure(figsize=(WIDTH, 0.5 + rows * PITCH * WIDTH / COLUMNS), layout="constrained")
    axes = figure.subplots()
    low, high = float(np.min(images)), float(np.max(images))
    for place, image in enumerate(shown):
        row, column = divmod(place, COLUMNS)
        left, top = column * 1.0, -row * PITCH
        scaled = (image - low) / max(high - low, 1e-30)
        ends = (left, left + SIDE, top - SIDE, top)
        axes.imshow(scaled, cmap="gray", vmin=0, vmax=1, extent=ends)
        text, color = _said(int(true[place]), int(predicted[place]), float(certainty[place]))
        axes.text(left, top + 0.03, text, color=color, fontsize=8, va="bottom")
    axes.set(xlim=(0, COLUMNS), ylim=(-rows * PITCH + (PITCH - SIDE) / 2, PITCH - SIDE))
    axes.set_axis_off()
    axes.set_title(
        f"{num_mistakes:,} mistakes on validation rows, the surest first (orange: right class, "
        "seen as, how sure); then the least sure right ones"
    )
    return figure


def _said(true: int, predicted: int, certainty: float) -> tuple[str, str]:
    sure = f", {certainty:.0%}" if math.isfinite(certainty) else ""
    if true != predicted:
        return f"{true} seen as {predicted}{sure}", COLOURS[1]
    return f"{true}{sure}", COLOURS[0]
