"""Handwritten digits read as sequences: row by row, or pixel by pixel (CNN-04, LST-06).

Shapes: rows of data N, time T, features F.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from optlab import seeding
from optlab.registry import tasks
from optlab.tasks.base import CheckedTask, Data, Split
from optlab.tasks.digits import NUM_CLASSES, Digits
from optlab.tasks.standardize import standardize_splits
from optlab.types import Natural

SIDE = 8


@tasks.register("sequential_digits")
@dataclass(frozen=True)
class SequentialDigits(CheckedTask):
    """The images of ``task=digits``, their labels and splits, as sequences of one image each.

    Source of the three orders: Le, Jaitly and Hinton (2015), on MNIST.

    Attributes:
        order: ``"rows"`` reads 8 steps of 8 pixels, x: (N, 8, 8); ``"pixels"`` the 64 pixels one by
            one, from left to right and top to bottom, x: (N, 64, 1); ``"permuted"`` the 64 pixels
            in one random order for all images, so that neighbours are far apart.
        standardize: Scale by the mean and deviation of all pixels of the training rows together;
            else 0 to 16. One scale for all steps: a step has no statistics of its own.
        data_seed: Seed of the split, as that of ``task=digits``, and of the permutation.
    """

    order: Literal["rows", "pixels", "permuted"] = "rows"
    standardize: bool = True
    data_seed: Natural = 0

    default_loss: ClassVar[str] = "sparse_cce"

    def load(self) -> Data:
        """Read and split the digits, scale them, lay them out in time."""
        flat = Digits(standardize=False, data_seed=self.data_seed).load()
        splits = (flat.train, flat.val, flat.test)
        if self.standardize:
            splits = standardize_splits(*splits, dims=(0, 1))
        train, val, test = map(self._in_time, splits)
        return Data(train, val, test, num_classes=NUM_CLASSES)

    def _in_time(self, split: Split) -> Split:
        if self.order == "rows":
            return Split(split.x.view(-1, SIDE, SIDE), split.y)
        pixels = split.x
        if self.order == "permuted":
            draws = seeding.generator(self.data_seed, "data", "permutation")
            pixels = pixels[:, torch.randperm(SIDE * SIDE, generator=draws)]
        return Split(pixels.unsqueeze(-1), split.y)
