"""What a model's builder is given by the program, beside its own options."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class ModelContext:
    """Shapes that the task and the loss fix, and the parts chosen by other groups.

    Attributes:
        input_shape: Shape of one input, without the row axis.
        num_outputs: Columns of the output.
        activation: Makes a fresh activation module for one layer.
        norm: Makes a normalization module for a layer of that many features, or None.
    """

    input_shape: tuple[int, ...]
    num_outputs: int
    activation: Callable[[], nn.Module]
    norm: Callable[[int], nn.Module] | None = None

    @property
    def num_inputs(self) -> int:
        """Number of features of one input laid flat."""
        count = 1
        for length in self.input_shape:
            count *= length
        return count
