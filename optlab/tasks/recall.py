"""RECALL(T): which symbol came first? The plainest test of memory (RNN-13, LST-06, OPT-27).

Shapes: rows N, time T, symbols K.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch

from optlab import seeding
from optlab.registry import tasks
from optlab.tasks.base import CheckedTask, Data
from optlab.tasks.splits import Rows, stratified_order, three_splits
from optlab.types import Depth, Natural, NonNegative, Range


@tasks.register("recall")
@dataclass(frozen=True)
class Recall(CheckedTask):
    """One symbol at the first step, then noise; the label is the symbol. x: (N, T, K + 1).

    The first K columns hold the symbol, one-hot, at step 1 and nothing afterwards; the last column
    holds nothing at step 1 and normal noise afterwards. No noise can therefore be mistaken for the
    symbol: what makes the task hard is the time that it must be kept, T - 1 steps.

    Attributes:
        length: T, steps of a sequence; the symbol is to be kept over all but one of them.
        symbols: K, kinds of symbols, one class each, equally frequent.
        noise: Standard deviation of the steps after the first; 0 makes them empty, and the rows of
            one symbol equal.
        rows: Rows of all splits together.
        data_seed: Seed of noise and split.
    """

    length: Depth = 20
    symbols: Annotated[int, Range(low=2, high=2**20)] = 4
    noise: NonNegative = 1.0
    rows: Rows = 2000
    data_seed: Natural = 0

    default_loss: ClassVar[str] = "sparse_cce"

    def load(self) -> Data:
        """Put a symbol before the noise."""
        draws = seeding.generator(self.data_seed, "data")
        y = torch.arange(self.rows) % self.symbols
        x = torch.zeros(self.rows, self.length, self.symbols + 1)
        x[:, 0, :-1] = torch.eye(self.symbols)[y]
        x[:, 1:, -1] = self.noise * torch.randn(self.rows, self.length - 1, generator=draws)
        splits = three_splits(x, y, stratified_order(y, draws))
        return Data(*splits, num_classes=self.symbols)
