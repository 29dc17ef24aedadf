"""Linear regressions that isolate one difficulty each: outliers, and features of unequal scale."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from optlab import seeding
from optlab.registry import tasks
from optlab.tasks.base import CheckedTask, Data, Split
from optlab.tasks.splits import Rows, three_splits
from optlab.tasks.standardize import standardize_splits
from optlab.types import Fraction, Natural, NonNegative

SLOPE, INTERCEPT = 3.0, 1.0
OUTLIER_SHIFT = 30.0


@tasks.register("line")
@dataclass(frozen=True)
class Line(CheckedTask):
    """``y = 3 x + 1`` with x uniform in [-1, 1), and outliers far above it (LOS-03).

    Attributes:
        rows: Rows of all splits together.
        noise: Standard deviation of the noise on every target.
        outliers: Share of the *training* targets raised by 30; validation and test stay clean.
        data_seed: Seed of rows, noise and outliers.
    """

    rows: Rows = 500
    noise: NonNegative = 0.1
    outliers: Fraction = 0.0
    data_seed: Natural = 0

    default_loss: ClassVar[str] = "mse"

    def load(self) -> Data:
        """Draw rows, split them, raise some of the training targets."""
        draws = seeding.generator(self.data_seed, "data")
        x = 2 * torch.rand(self.rows, 1, generator=draws) - 1
        noise = torch.randn(self.rows, 1, generator=draws)
        y = SLOPE * x + INTERCEPT + self.noise * noise
        train, val, test = three_splits(x, y, torch.arange(self.rows))
        count = round(self.outliers * len(train))
        raised = train.y.clone()
        raised[torch.randperm(len(train), generator=draws)[:count]] += OUTLIER_SHIFT
        notes = {"outlier_rows": float(count)}
        return Data(Split(train.x, raised), val, test, notes=notes)


@tasks.register("unequal_scales")
@dataclass(frozen=True)
class UnequalScales(CheckedTask):
    """Linear regression on features of scales 1 and 30 around offsets 5 and 100 (NRM-12).

    With u standard normal, ``x = (5 + u1, 100 + 30 u2)`` and ``y = 3 u1 - 2 u2 + 1``: the raw
    features give the squared error a condition number of about 4e5, standardized ones about 1.

    Attributes:
        standardize: Scale the features by the training rows' mean and deviation.
        rows: Rows of all splits together.
        noise: Standard deviation of the noise on every target.
        data_seed: Seed of rows and noise.
    """

    standardize: bool = False
    rows: Rows = 1000
    noise: NonNegative = 0.1
    data_seed: Natural = 0

    default_loss: ClassVar[str] = "mse"

    def load(self) -> Data:
        """Draw u, then shift and stretch it."""
        draws = seeding.generator(self.data_seed, "data")
        u = torch.randn(self.rows, 2, generator=draws)
        noise = torch.randn(self.rows, 1, generator=draws)
        y = u @ torch.tensor([[3.0], [-2.0]]) + 1.0 + self.noise * noise
        x = torch.tensor([5.0, 100.0]) + torch.tensor([1.0, 30.0]) * u
        splits = three_splits(x, y, torch.arange(self.rows))
        return Data(*(standardize_splits(*splits) if self.standardize else splits))
