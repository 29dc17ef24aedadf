"""From one sequence to another: copy it, or say it backwards (NLP-02).

Shapes: rows N, length L of the sequence.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from optlab import seeding
from optlab.registry import tasks
from optlab.tasks.base import CheckedTask, Data
from optlab.tasks.distinct import distinct_sequences
from optlab.tasks.splits import Rows, three_splits
from optlab.types import Depth, Natural, Range


@dataclass(frozen=True)
class Transduction(CheckedTask):
    """A sequence is heard, then an equally long one is to be said while blanks are heard.

    x: tokens, (N, 2 L): L symbols, numbered from 0, then L times the blank, which is the last
    number of the vocabulary and never an answer. y: (N, L), the answers at the last L steps. No
    two rows are alike, so a test sequence was never trained on.

    Attributes:
        length: L, symbols of the sequence.
        symbols: Kinds of symbols, one class each, equally likely at every step.
        rows: Rows of all splits together, at most symbols^length.
        data_seed: Seed of the sequences.
    """

    length: Depth = 10
    symbols: Annotated[int, Range(low=2, high=2**20)] = 8
    rows: Rows = 2000
    data_seed: Natural = 0

    default_loss: ClassVar[str] = "sparse_cce"

    def load(self) -> Data:
        """Draw sequences and lay them before their blanks."""
        draws = seeding.generator(self.data_seed, "data")
        heard = distinct_sequences(self.rows, self.length, self.symbols, draws)
        x = torch.cat([heard, torch.full_like(heard, self.symbols)], dim=1)
        splits = three_splits(x, self._answer(heard), torch.arange(self.rows))
        return Data(
            *splits,
            num_classes=self.symbols,
            vocabulary=self.symbols + 1,
            target_steps=self.length,
        )

    @abstractmethod
    def _answer(self, heard: Tensor) -> Tensor:
        """Return what is to be said for symbols (N, L): (N, L)."""


@tasks.register("copy")
@dataclass(frozen=True)
class Copy(Transduction):
    """Say the sequence again: every symbol has to be kept for L steps."""

    def _answer(self, heard: Tensor) -> Tensor:
        return heard


@tasks.register("reversal")
@dataclass(frozen=True)
class Reversal(Transduction):
    """Say the sequence backwards: the last symbol comes at once, the first after 2 L - 1 steps."""

    def _answer(self, heard: Tensor) -> Tensor:
        return heard.flip(1)
