"""A point to be moved over a test function: the model without an input."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from optlab.config import ConfigError
from optlab.models.context import ModelContext
from optlab.registry import models
from optlab.types import Real


class Point(nn.Module):
    """Answers every input with its one parameter, ``point``.

    Args:
        start: Where the point begins, D numbers. Initializers leave it there.
        dtype: Type of the point; torch's default type if None.
    """

    def __init__(self, start: Sequence[float], *, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        numbers = torch.tensor(start, dtype=dtype or torch.get_default_dtype())
        self.point = nn.Parameter(numbers)

    def forward(self, x: Tensor) -> Tensor:
        """Return the point once per row of ``x``, shape (B, D)."""
        return self.point.expand(x.shape[0], -1)


@models.register("point")
def build_point(context: ModelContext, *, start: tuple[Real, ...] = (1.0, 1.0)) -> Point:
    """Build a `Point` for a test function of ``len(start)`` variables.

    It is float64, to be rounded once when the program gives it the run's type.
    """
    if len(start) != context.num_outputs:
        raise ConfigError(
            f"model.start needs {context.num_outputs} numbers, one per variable of the task, "
            f"got {len(start)}: {list(start)}"
        )
    return Point(start, dtype=torch.float64)
