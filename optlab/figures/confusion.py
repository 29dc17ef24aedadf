"""Which class was taken for which."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from optlab.figures.canvas import WIDTH
from optlab.figures.settings import SHADES

#: Classes shown at most, the most frequent ones, and up to how many numbers stand in the squares.
MOST_CLASSES, MOST_NUMBERED = 40, 20

Counts = npt.NDArray[np.int64]


def counts(true: npt.ArrayLike, predicted: npt.ArrayLike, num_classes: int) -> Counts:
    """Return how many rows of each true class (first axis) were predicted as each class."""
    places = np.asarray(true, np.int64).ravel() * num_classes + np.asarray(predicted).ravel()
    found = np.bincount(places, minlength=num_classes**2)
    return found.reshape(num_classes, num_classes)


def confusion(found: Counts, what: str, names: Sequence[str] = ()) -> Figure:
    """Return the confusion matrix: colours are shares of the true class, numbers are rows.

    Args:
        found: Of `counts`.
        what: Which rows these are, such as ``"validation rows"``.
        names: Of the classes; by default their numbers.
    """
    right, total = int(np.trace(found)), int(found.sum())
    most = np.sort(np.argsort(-found.sum(axis=1), kind="stable")[:MOST_CLASSES])
    shown, labels = found[np.ix_(most, most)], [names[i] if names else str(i) for i in most]
    shares = shown / np.maximum(found[most].sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(0.72 * WIDTH, 0.62 * WIDTH), layout="constrained")
    axes = figure.subplots()
    axes.grid(visible=False)
    colours = LinearSegmentedColormap.from_list("shades", ["#FFFFFF", *SHADES[1:]])
    image = axes.imshow(shares, cmap=colours, vmin=0, vmax=1, aspect="auto")
    figure.colorbar(image, ax=axes, label="share of the rows of the true class", shrink=0.8)
    if len(most) <= MOST_NUMBERED:
        for row, column in np.argwhere(shown):
            ink = "white" if shares[row, column] > 0.55 else "black"
            axes.text(column, row, f"{shown[row, column]}", ha="center", va="center", color=ink)
    ticks = np.arange(0, len(most), 1 if len(most) <= MOST_NUMBERED else 4)
    axes.set_xticks(ticks, [labels[i] for i in ticks], rotation=90 if names else 0)
    axes.set_yticks(ticks, [labels[i] for i in ticks])
    which = f"; {len(most)} of {len(found)} classes" if len(most) < len(found) else ""
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.set_title(f"{right:,} of {total:,} {what} right ({right / max(total, 1):.1%}){which}")
    return figure
