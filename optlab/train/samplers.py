"""Which rows each update sees (OPT-03, OPT-07, OPT-08, OPT-11).

Batch, single-row and mini-batch gradient descent are one update rule under three samplers:
``batch_size="full"``, ``1`` and ``k``.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from optlab import seeding


@dataclass(frozen=True)
class Sampler:
    """Row numbers of an epoch's batches, a function of (seed, epoch) alone.

    Attributes:
        num_rows: Rows of the training split.
        batch_size: Rows of one update; ``num_rows`` or more means all of them.
        order: ``"shuffle"`` visits every row once in a new order each epoch, ``"replacement"``
            draws each row at random, ``"sequential"`` keeps the order of the data.
        seed: The run's seed.
        device: Where the row numbers are needed.
    """

    num_rows: int
    batch_size: int
    order: Literal["shuffle", "replacement", "sequential"]
    seed: int
    device: torch.device

    @property
    def updates_per_epoch(self) -> int:
        """Updates of one epoch, the short last batch included."""
        return math.ceil(self.num_rows / self.batch_size)

    def rows_of(self, updates: int) -> int:
        """Return how many rows the first updates see, rows seen again included."""
        epochs, rest = divmod(updates, self.updates_per_epoch)
        return epochs * self.num_rows + rest * min(self.batch_size, self.num_rows)

    def epoch(self, number: int) -> Iterator[Tensor | None]:
        """Yield the row numbers of each batch; None stands for all rows, in order."""
        rows = self.rows(number)
        if rows is None:
            yield None
            return
        yield from torch.split(rows.to(self.device), min(self.batch_size, self.num_rows))

    def rows(self, number: int) -> Tensor | None:
        """Return the row numbers of an epoch, batch after batch, (num_rows,), on the CPU.

        None stands for all rows, in order, as one batch.
        """
        if self.batch_size >= self.num_rows and self.order != "replacement":
            return None
        if self.order == "sequential":
            return torch.arange(self.num_rows)
        stream = seeding.generator(self.seed, "order", number)
        if self.order == "shuffle":
            return torch.randperm(self.num_rows, generator=stream)
        return torch.randint(self.num_rows, (self.num_rows,), generator=stream)
