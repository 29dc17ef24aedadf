"""Dropout with masks that depend on nothing but (run, layer, update)."""

from typing import Literal

import torch
from torch import Tensor, nn

from optlab.config import ConfigError, check_value
from optlab.nn.dropout_operation import drop
from optlab.seeding import stream_key
from optlab.types import Decay

#: Drop probabilities that the course notes call common, by kind of network (row REG-09).
COMMON_RATES: dict[str, tuple[float, float]] = {
    "ann": (0.1, 0.5),
    "cnn": (0.4, 0.5),
    "rnn": (0.2, 0.3),
}

#: A drop probability, or the kind of network whose band's middle to take.
Rate = Decay | Literal["ann", "cnn", "rnn"]


class Dropout(nn.Module):
    """Sets elements to 0 with probability ``rate`` in training and scales the others up.

    Survivors are multiplied by 1/(1 - rate) (inverted scaling), so that the expected output is
    the input and evaluation is the identity. The mask of the n-th training forward is drawn at
    (``key``, n) by a counter-based generator, which has no state to share: a run in a stack drops
    what it drops alone. Both numbers are buffers, but not of the state dict, which is as empty as
    that of torch's layer.

    Source: Srivastava et al., 2014, section 10 for the scaling; course notes, rows REG-07 and
    E28 (the notes' p is the probability of keeping; ``rate``, as torch's p, is that of dropping).

    Args:
        rate: Drop probability in [0, 1), or a kind of network in `COMMON_RATES`.

    Attributes:
        key: The stream, 0-d int64, drawn from torch's global generator when the layer is made;
            `seed_dropout` sets those of a whole module.
        count: Training forwards done, 0-d int64.
    """

    key: Tensor
    count: Tensor

    def __init__(self, rate: Rate) -> None:
        super().__init__()
        self.rate = drop_probability(rate)
        self.register_buffer("key", torch.randint(2**63 - 1, ()), persistent=False)
        self.register_buffer("count", torch.tensor(0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` with elements dropped in training, ``x`` itself in evaluation."""
        if not self.training or self.rate == 0:
            return x
        if not x.is_floating_point():
            raise ConfigError(f"Dropout takes floating-point numbers, got {x.dtype}; convert them")
        y = drop(x, self.key, self.count, self.rate)
        self.count.add_(1)
        return y

    def extra_repr(self) -> str:
        """Return the rate, for ``print(module)``."""
        return f"rate={self.rate:g}"


def drop_probability(rate: float | str) -> float:
    """Return the probability that ``rate`` stands for; a kind of network has its band's middle.

    Raises:
        ConfigError: For a number outside [0, 1) or an unknown kind.
    """
    checked: float | str = check_value(rate, Rate, "dropout.rate")
    return sum(COMMON_RATES[checked]) / 2 if isinstance(checked, str) else checked


def seed_dropout(module: nn.Module, seed: int) -> None:
    """Put every `Dropout` in ``module`` at the start of its stream (seed, "dropout", name).

    So that masks depend on the seed alone, whatever was drawn before; a run does it by itself.
    """
    for name, layer in module.named_modules():
        if isinstance(layer, Dropout):
            layer.key.fill_(stream_key(seed, "dropout", name))
            layer.count.zero_()
