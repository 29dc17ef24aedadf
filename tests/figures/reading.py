"""What stands in a figure."""

import matplotlib
from matplotlib.figure import Figure

from optlab.figures.settings import SETTINGS


def drawn(draw) -> Figure:
    """Return a figure after it was laid out, under the settings of all."""
    with matplotlib.rc_context(SETTINGS):
        figure = draw()
        figure.draw_without_rendering()
    return figure


def texts(axes) -> list[str]:
    """Return what is written inside axes."""
    return [text.get_text() for text in axes.texts]
