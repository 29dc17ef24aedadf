"""Classes drawn in the plane or in space: easy clouds, and spirals that need depth (LAY-01)."""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch

from optlab import seeding
from optlab.registry import tasks
from optlab.tasks.base import CheckedTask, Data
from optlab.tasks.splits import Rows, stratified_order, three_splits
from optlab.types import Natural, NonNegative, Positive, Range, Width


@tasks.register("blobs")
@dataclass(frozen=True)
class Blobs(CheckedTask):
    """Gaussian clouds of equal spread around centers drawn uniformly from [-1, 1]^features.

    Attributes:
        rows: Rows of all splits together, as equally divided among the clouds as can be.
        centers: Clouds, one class each.
        features: Columns of the input.
        spread: Standard deviation of a cloud in every direction.
        data_seed: Seed of centers, rows and split.
    """

    rows: Rows = 1000
    centers: Annotated[int, Range(low=2, high=2**20)] = 3
    features: Width = 2
    spread: NonNegative = 0.1
    data_seed: Natural = 0

    default_loss: ClassVar[str] = "sparse_cce"

    def load(self) -> Data:
        """Draw centers, then rows around them."""
        draws = seeding.generator(self.data_seed, "data")
        centers = 2 * torch.rand(self.centers, self.features, generator=draws) - 1
        y = torch.arange(self.rows) % self.centers
        noise = torch.randn(self.rows, self.features, generator=draws)
        x = centers[y] + self.spread * noise
        splits = three_splits(x, y, stratified_order(y, draws))
        return Data(*splits, num_classes=self.centers)


@tasks.register("spirals")
@dataclass(frozen=True)
class Spirals(CheckedTask):
    """Two spirals in the plane, one the other turned by half a circle (Lang and Witbrock, 1988).

    A row of class c lies at radius r, uniform in [0, 1), and angle ``2 pi turns r + pi c``.

    Attributes:
        rows: Rows of all splits together, half of each class.
        noise: Standard deviation of the noise added to both coordinates.
        turns: Turns of each spiral from the middle to the rim, where the radius is 1.
        data_seed: Seed of rows and split.
    """

    rows: Rows = 1000
    noise: NonNegative = 0.02
    turns: Positive = 1.75
    data_seed: Natural = 0

    default_loss: ClassVar[str] = "sparse_cce"

    def load(self) -> Data:
        """Draw radii, wind them up, add noise."""
        draws = seeding.generator(self.data_seed, "data")
        y = torch.arange(self.rows) % 2
        radius = torch.rand(self.rows, generator=draws)
        angle = math.pi * (2 * self.turns * radius + y)
        curve = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)
        x = curve + self.noise * torch.randn(self.rows, 2, generator=draws)
        splits = three_splits(x, y, stratified_order(y, draws))
        return Data(*splits, num_classes=2)
