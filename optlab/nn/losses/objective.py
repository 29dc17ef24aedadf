"""The loss of a test function: the value of the function itself."""

# ruff: noqa: D102 - overrides carry no docstring; their contract stands on the base class

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from optlab.config import ConfigError
from optlab.nn.losses.base import Head, Loss
from optlab.nn.losses.functions import Reduction
from optlab.registry import losses


@losses.register("objective")
@dataclass(frozen=True)
class Objective(Loss):
    """f(output) + target . output, where f is a task's objective and the target gradient noise.

    The gradient of the second part is the target, so that rows of noise make descent on f
    stochastic. Fits only a task that has an objective (`optlab.tasks.base.Data.objective`).

    Attributes:
        function: (B, D) -> (B,); given by the program, not by a configuration.
    """

    heads: ClassVar[tuple[str, ...]] = ("identity",)
    for_classes: ClassVar[bool] = False

    function: Callable[[Tensor], Tensor]
    head: Head = field(default="identity", init=False)

    def __post_init__(self) -> None:
        """Leave the function as it is: it is no user's value."""

    def measure(self, output: Tensor, target: Tensor, reduction: Reduction) -> Tensor:
        values = self.function(output) + (target * output).sum(-1)
        return values.mean() if reduction == "mean" else values

    def check_targets(self, num_classes: int | None) -> None:
        if num_classes is not None:
            raise self._no_labels()

    def encode(
        self, labels: Tensor, num_classes: int, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        raise self._no_labels()

    def predict(self, output: Tensor) -> Tensor:
        raise self._no_labels()

    def labels(self, target: Tensor) -> Tensor:
        raise self._no_labels()

    @staticmethod
    def _no_labels() -> ConfigError:
        return ConfigError("loss objective is for test functions, which have no labels")
