"""Streams of symbols with an answer of their own at every step: parity and echo (RNN-08 to RNN-10).

No two rows of a split's sequences are alike, so a test row was never trained on.

Shapes: rows N, time T, symbols K, last steps S.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from optlab import seeding
from optlab.config import ConfigError
from optlab.registry import tasks
from optlab.tasks.base import CheckedTask, Data, Split
from optlab.tasks.distinct import distinct_sequences
from optlab.tasks.splits import Rows, stratified_order, three_splits
from optlab.types import Depth, Natural, Range


@tasks.register("parity")
@dataclass(frozen=True)
class Parity(CheckedTask):
    """Is the number of ones odd? x: bits as -1 and 1, (N, T, 1); the label is 1 for odd, else 0.

    No linear function of the bits says more than chance, while two states, updated at every step,
    answer it for streams of any length. With ``test_length`` the test asks for that: its streams
    are longer than any that was trained on. Only a model that runs over any number of steps can
    then be tested: ``model=rnn``, ``lstm`` or ``window_mlp``, of which the last, remembering no
    more than its window, answers by chance.

    Attributes:
        length: T, bits of a training and a validation row.
        every_step: Ask at every step for the parity so far, y: (N, T); else at the end, y: (N,).
        test_length: Bits of a test row, above ``length``; None has as many as the others. With
            ``every_step`` the last ``length`` of its steps are asked for.
        rows: Rows of all splits together, at most 2^length, since all are different.
        data_seed: Seed of bits and split.
    """

    length: Depth = 10
    every_step: bool = False
    test_length: Depth | None = None
    rows: Rows = 1000
    data_seed: Natural = 0

    default_loss: ClassVar[str] = "sparse_cce"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.test_length is not None and self.test_length <= self.length:
            raise ConfigError(
                f"test_length must be above length={self.length}, got {self.test_length} "
                "(task.test_length); null tests at the length of training"
            )

    def load(self) -> Data:
        """Draw bits, count them, split them, and draw longer test rows where these are asked."""
        draws = seeding.generator(self.data_seed, "data")
        bits = distinct_sequences(self.rows, self.length, 2, draws)
        order = stratified_order(bits.sum(1) % 2, draws)
        train, val, test = three_splits(*self._asked(bits), order)
        if self.test_length is not None:
            bits = distinct_sequences(len(test), self.test_length, 2, draws)
            test = Split(*self._asked(bits))
        steps = self.length if self.every_step else None
        return Data(train, val, test, num_classes=2, target_steps=steps)

    def _asked(self, bits: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs and labels of bits (N, T)."""
        parity = bits.cumsum(1) % 2
        y = parity[:, -self.length :] if self.every_step else parity[:, -1]
        return (2 * bits - 1).to(torch.float32).unsqueeze(-1), y.contiguous()


@tasks.register("echo")
@dataclass(frozen=True)
class Echo(CheckedTask):
    """Say at step t what was heard at step t - lag. x: one-hot symbols, (N, T, K); y: (N, T - lag).

    A model that sees the current step alone is right once in K times, and one that sees the last
    ``lag + 1`` steps can always be right (the control of RNN-10). The first ``lag`` steps, before
    which nothing was heard, are not asked.

    Attributes:
        length: T, steps of a row, above ``lag``.
        lag: Steps between hearing and saying; 0 repeats at once, which needs no memory.
        symbols: K, kinds of symbols, one class each, equally likely at every step.
        rows: Rows of all splits together, at most symbols^length, since all are different.
        data_seed: Seed of the symbols.
    """

    length: Depth = 20
    lag: Natural = 3
    symbols: Annotated[int, Range(low=2, high=2**20)] = 4
    rows: Rows = 2000
    data_seed: Natural = 0

    default_loss: ClassVar[str] = "sparse_cce"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lag >= self.length:
            raise ConfigError(
                f"lag must be less than length={self.length}, got {self.lag} (task.lag): with "
                "fewer steps nothing is ever said"
            )

    def load(self) -> Data:
        """Draw symbols, and ask for them later."""
        draws = seeding.generator(self.data_seed, "data")
        heard = distinct_sequences(self.rows, self.length, self.symbols, draws)
        steps = self.length - self.lag
        x, y = torch.eye(self.symbols)[heard], heard[:, :steps].contiguous()
        splits = three_splits(x, y, torch.arange(self.rows))
        return Data(*splits, num_classes=self.symbols, target_steps=steps)
