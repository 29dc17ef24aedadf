"""Inputs of mean 0 and variance 1, by the statistics of the training rows alone (NRM-11)."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from optlab.tasks.base import Split


@dataclass(frozen=True)
class Standardizer:
    """``x -> (x - mean) / std``, fitted on the training rows and reused on all others.

    The notes' form (course notes, row NRM-11): ``mu = sum(x) / m`` and
    ``sigma^2 = sum((x - mu)^2) / m``, the biased variance.

    Attributes:
        mean: Mean of every feature, broadcastable to the inputs.
        std: Standard deviation of every feature; 1 where the feature never varies, so that such a
            feature (three pixels of the digits) becomes 0 and not NaN.
    """

    mean: Tensor
    std: Tensor

    @classmethod
    def fit(cls, x: Tensor, dims: tuple[int, ...] = (0,)) -> Self:
        """Return the standardizer of ``x``.

        Args:
            x: Training inputs, shape (N, ...).
            dims: Axes that share statistics: ``(0,)`` for one pair per feature, ``(0, 2, 3)`` for
                one per channel of images.
        """
        variance, mean = torch.var_mean(x, dims, correction=0, keepdim=True)
        # The variance of a constant is not always exactly 0, its range is.
        constant = x.amax(dims, keepdim=True) == x.amin(dims, keepdim=True)
        return cls(mean, variance.sqrt().masked_fill(constant, 1.0))

    def __call__(self, x: Tensor) -> Tensor:
        """Return ``x`` standardized, of the same shape."""
        return (x - self.mean) / self.std


def standardize_splits(
    train: Split, val: Split, test: Split, dims: tuple[int, ...] = (0,)
) -> tuple[Split, Split, Split]:
    """Return the splits with inputs standardized by the statistics of ``train``."""
    scaled = Standardizer.fit(train.x, dims)
    return (
        Split(scaled(train.x), train.y),
        Split(scaled(val.x), val.y),
        Split(scaled(test.x), test.y),
    )
