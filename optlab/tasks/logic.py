"""AND, OR and XOR of two bits: what a line can separate, and the least that it cannot.

Course notes, rows PER-02 and PER-03; Minsky and Papert (1969), *Perceptrons*.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch

from optlab.registry import tasks
from optlab.tasks.base import CheckedTask, Data, Split


@dataclass(frozen=True)
class Gate(CheckedTask):
    """The truth table of a gate: inputs 00, 01, 10, 11 as 0.0 and 1.0, and a label 0 or 1.

    Training, validation and test splits are the same four rows, since there are no others; the
    question here is what can be represented and found, never generalization.

    Attributes:
        TABLE: Label of each of the four rows.
    """

    TABLE: ClassVar[tuple[int, int, int, int]]
    default_loss: ClassVar[str] = "bce"

    def load(self) -> Data:
        """Return the table three times."""
        x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        rows = Split(x, torch.tensor(self.TABLE))
        return Data(rows, rows, rows, num_classes=2)


@tasks.register("and")
@dataclass(frozen=True)
class And(Gate):
    """1 when both inputs are 1; linearly separable."""

    TABLE = (0, 0, 0, 1)


@tasks.register("or")
@dataclass(frozen=True)
class Or(Gate):
    """1 when an input is 1; linearly separable."""

    TABLE = (0, 1, 1, 1)


@tasks.register("xor")
@dataclass(frozen=True)
class Xor(Gate):
    """1 when the inputs differ; no line separates the classes."""

    TABLE = (0, 1, 1, 0)
