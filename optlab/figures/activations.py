"""Activation functions and their derivatives."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from optlab.figures.canvas import grid
from optlab.figures.settings import COLOURS

Array = npt.NDArray[np.float64]

MOST, COLUMNS = 12, 3


def activations(curves: Mapping[str, tuple[Array, Array, Array]]) -> Figure:
    """Return a panel for each function.

    Args:
        curves: By name: inputs, values there, and slopes there, each (N).
    """
    shown = dict(list(curves.items())[:MOST])
    more = f", {len(shown)} of {len(curves)}" if len(shown) < len(curves) else ""
    figure, axes = grid(len(shown), COLUMNS, 2.9, f"activation functions of the model{more}")
    for own, (name, (x, values, slopes)) in zip(axes, shown.items(), strict=True):
        own.plot(x, values, color=COLOURS[0], label="f(z)")
        own.plot(x, slopes, color=COLOURS[1], linestyle=(0, (4, 1.5)), label="f'(z)")
        own.set(xlabel="z", title=name)
    axes[0].legend(loc="upper left")
    return figure
