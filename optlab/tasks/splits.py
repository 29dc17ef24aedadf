"""Cut rows into training, validation and test splits: 60, 20 and 20 of a hundred."""

from typing import Annotated

import torch
from torch import Tensor

from optlab.tasks.base import Split
from optlab.types import Range

#: Number of rows to generate; with fewer than five a split would be empty.
Rows = Annotated[int, Range(low=5, high=10**9)]


def stratified_order(labels: Tensor, draws: torch.Generator) -> Tensor:
    """Return a random order of the rows in which every prefix holds the classes in proportion.

    The rows of a class are laid at random over [0, 1), one in each of as many equal intervals as
    the class has rows. Of C classes, one with n_c of the N rows then has k n_c / N of the first k,
    to within 1 + C n_c / N rows; so any cut of the order, at any number of rows, is stratified.

    Args:
        labels: Class of each row, shape (N,), int64.
        draws: Source of the order.
    """
    place = torch.empty(len(labels), dtype=torch.float64)
    for label in range(int(labels.max()) + 1):
        rows = (labels == label).nonzero()[:, 0]
        interval = torch.randperm(len(rows), generator=draws)
        within = torch.rand(len(rows), generator=draws, dtype=torch.float64)
        place[rows] = (interval + within) / len(rows)
    return place.argsort(stable=True)


def three_splits(x: Tensor, y: Tensor, order: Tensor) -> tuple[Split, Split, Split]:
    """Return the training, validation and test splits, cut from the rows in ``order``."""
    ends = (round(0.6 * len(order)), round(0.8 * len(order)))
    train, val, test = (Split(x[rows], y[rows]) for rows in order.tensor_split(ends))
    return train, val, test
