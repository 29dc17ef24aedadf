"""ADD(T), the adding problem: add two marked numbers of a long sequence (GRD-08, LST-03).

Source: Hochreiter and Schmidhuber (1997), Long Short-Term Memory, experiment 4.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch

from optlab import seeding
from optlab.registry import tasks
from optlab.tasks.base import CheckedTask, Data
from optlab.tasks.splits import Rows, three_splits
from optlab.types import Natural, Range


@tasks.register("adding")
@dataclass(frozen=True)
class Adding(CheckedTask):
    """Numbers of which two are marked; the target is the sum of the two. x: (N, T, 2), y: (N, 1).

    Column 0 holds numbers uniform in [0, 1); column 1 is 1 at one step of the first half and at one
    of the second, else 0. The paper has numbers in [-1, 1], marks the ends of a sequence and scales
    the sum into [0, 1]; this is the plainer form in use since Le, Jaitly and Hinton (2015).

    Whoever answers 1 to everything has a mean square error of 1/6, the variance of the sum of two
    such numbers (0.167; the 0.1767 that is often quoted is not it). `Data.notes` holds
    ``constant_mse``, the error on the test rows of the training targets' mean: a model has learned
    something when it is below.

    Attributes:
        length: T, steps of a sequence; the halves are the first T // 2 steps and the others.
        rows: Rows of all splits together.
        data_seed: Seed of numbers and marks.
    """

    length: Annotated[int, Range(low=2, high=10_000)] = 20
    rows: Rows = 2000
    data_seed: Natural = 0

    default_loss: ClassVar[str] = "mse"

    def load(self) -> Data:
        """Draw numbers, mark two of each row, add them."""
        draws = seeding.generator(self.data_seed, "data")
        number = torch.rand(self.rows, self.length, generator=draws)
        half, row = self.length // 2, torch.arange(self.rows)
        mark = torch.zeros_like(number)
        mark[row, torch.randint(half, (self.rows,), generator=draws)] = 1
        mark[row, torch.randint(half, self.length, (self.rows,), generator=draws)] = 1
        target = (number * mark).sum(1, keepdim=True)
        train, val, test = three_splits(torch.stack([number, mark], dim=2), target, row)
        constant = float((test.y - train.y.mean()).double().square().mean())
        return Data(train, val, test, notes={"constant_mse": constant})
