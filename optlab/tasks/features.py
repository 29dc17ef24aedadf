"""Sparse and dense features under the same logistic labels (FEA-01 to FEA-04).

A hundred binary features, the rarest seen in two rows of a thousand, and their Gaussian twin: the
case for a learning rate per coordinate (Duchi, Hazan and Singer, 2011), and its control.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab import seeding
from optlab.registry import tasks
from optlab.tasks.base import CheckedTask, Data
from optlab.tasks.splits import Rows, three_splits
from optlab.types import Natural, Positive

NUM_FEATURES = 100


@dataclass(frozen=True)
class LogisticFeatures(CheckedTask):
    """Rows of 100 features, and labels drawn from a logistic model of them.

    ``P(y = 1) = sigmoid(w . (x - mean))``, with normal weights w scaled so that the logit has
    standard deviation ``signal`` on average: the labels of both tasks are equally hard.
    `Data.notes` holds the measured share of zeros in the training inputs, and how many features
    are zero in every training row.

    Attributes:
        rows: Rows of all splits together.
        signal: Standard deviation of the logit; larger makes the labels more certain.
        data_seed: Seed of features, weights and labels.
    """

    rows: Rows = 4000
    signal: Positive = 6.0
    data_seed: Natural = 0

    default_loss: ClassVar[str] = "bce"

    def load(self) -> Data:
        """Draw features, weights and labels."""
        draws = seeding.generator(self.data_seed, "data")
        x, mean, variance = self._features(draws)
        weights = torch.randn(NUM_FEATURES, generator=draws)
        logits = (x - mean) @ weights * (self.signal / variance.sum().sqrt())
        y = (torch.rand(self.rows, generator=draws) < logits.sigmoid()).to(torch.int64)
        train, val, test = three_splits(x, y, torch.arange(self.rows))
        zero = train.x == 0
        notes = {
            "zero_fraction": float(zero.double().mean()),
            "features_never_seen": float(zero.all(dim=0).sum()),
        }
        return Data(train, val, test, num_classes=2, notes=notes)

    @abstractmethod
    def _features(self, draws: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return features (rows, 100) and the mean and variance of their columns, (100,)."""


@tasks.register("sparse_features")
@dataclass(frozen=True)
class SparseFeatures(LogisticFeatures):
    """Binary features; feature j is 1 with frequency from 10^-0.5 (j = 0) to 10^-2.7 (j = 99)."""

    def _features(self, draws: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        frequency = torch.logspace(-0.5, -2.7, NUM_FEATURES)
        seen = torch.rand(self.rows, NUM_FEATURES, generator=draws) < frequency
        return seen.to(torch.float32), frequency, frequency * (1 - frequency)


@tasks.register("dense_features")
@dataclass(frozen=True)
class DenseFeatures(LogisticFeatures):
    """Standard normal features: none is ever zero."""

    def _features(self, draws: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        x = torch.randn(self.rows, NUM_FEATURES, generator=draws)
        return x, torch.zeros(NUM_FEATURES), torch.ones(NUM_FEATURES)
