"""The weights that a run begins with, beside the distribution that its initializer draws from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optlab.figures.canvas import grid
from optlab.figures.settings import COLOURS

Array = npt.NDArray[np.float64]

MOST, COLUMNS, BINS = 12, 3, 40


@dataclass(frozen=True, eq=False)
class FirstWeights:
    """One parameter before the first update.

    Attributes:
        name: Of the parameter, with what is to be known of its shape.
        numbers: Its numbers, of any shape.
        others: Numbers that the initializer draws for the same parameter with other seeds.
    """

    name: str
    numbers: Array
    others: Array


def first_weights(parameters: Sequence[FirstWeights], initializer: str) -> Figure:
    """Return a panel for each parameter; of many, some from the first to the last.

    Args:
        parameters: In the order of the model.
        initializer: What drew them.
    """
    places = np.unique(np.linspace(0, len(parameters) - 1, min(MOST, len(parameters))).round())
    shown = [parameters[int(place)] for place in places]
    more = f", {len(shown)} of {len(parameters)}" if len(shown) < len(parameters) else ""
    title = f"first weights by {initializer}{more}: filled, those of the run; line, many seeds"
    figure, axes = grid(len(shown), COLUMNS, 2.7, title)
    for own, each in zip(axes, shown, strict=True):
        _draw(own, each)
    return figure


def _draw(axes: Axes, each: FirstWeights) -> None:
    numbers, others = each.numbers.ravel(), each.others.ravel()
    together = np.concatenate([numbers, others])
    low, high = float(together.min()), float(together.max())
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-300):  # a constant
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1).tolist()
    axes.hist(numbers, edges, density=True, color=COLOURS[0], alpha=0.45)
    axes.hist(others, edges, density=True, color=COLOURS[1], histtype="step", linewidth=1.5)
    axes.set(xlabel="weight", ylabel="density", title=each.name)
    text = f"std {numbers.std():.3g}\nof many {others.std():.3g}"
    axes.text(0.98, 0.96, text, ha="right", va="top", transform=axes.transAxes)
