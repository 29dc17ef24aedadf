"""Losses of the difference between target and prediction: for real targets, and for classes.

With several outputs the mean over them is taken, as in torch and Keras.
"""

# ruff: noqa: D102 - overrides carry no docstring; their contract stands on the base class

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab.nn.losses import functions
from optlab.nn.losses.base import Loss
from optlab.nn.losses.encoding import check_labels, one_hot
from optlab.nn.losses.functions import Reduction
from optlab.registry import losses
from optlab.types import Positive


@dataclass(frozen=True)
class ErrorLoss(Loss):
    """A loss of y - head(z). Two classes are one output in {0, 1}, more classes one-hot rows."""

    heads: ClassVar[tuple[str, ...]] = ("identity", "sigmoid")
    for_real: ClassVar[bool] = True

    def num_outputs(self, num_classes: int) -> int:
        self.check_targets(num_classes)
        return 1 if num_classes == 2 else num_classes

    def encode(
        self, labels: Tensor, num_classes: int, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        if self.num_outputs(num_classes) > 1:
            return one_hot(labels, num_classes, dtype)
        check_labels(labels, num_classes)
        return labels.to(dtype).unsqueeze(-1)

    def predict(self, output: Tensor) -> Tensor:
        return self.labels(self.activate(output))

    def labels(self, target: Tensor) -> Tensor:
        return (target[..., 0] >= 0.5).long() if target.shape[-1] == 1 else target.argmax(-1)


@losses.register("mse")
@dataclass(frozen=True)
class MSE(ErrorLoss):
    """Mean squared error; see `functions.mse`."""

    def measure(self, output: Tensor, target: Tensor, reduction: Reduction) -> Tensor:
        return functions.mse(self.activate(output), target, reduction)


@losses.register("half_mse")
@dataclass(frozen=True)
class HalfMSE(ErrorLoss):
    """Half the mean squared error; see `functions.half_mse`."""

    def measure(self, output: Tensor, target: Tensor, reduction: Reduction) -> Tensor:
        return functions.half_mse(self.activate(output), target, reduction)


@losses.register("mae")
@dataclass(frozen=True)
class MAE(ErrorLoss):
    """Mean absolute error; see `functions.mae`."""

    def measure(self, output: Tensor, target: Tensor, reduction: Reduction) -> Tensor:
        return functions.mae(self.activate(output), target, reduction)


@losses.register("huber")
@dataclass(frozen=True)
class Huber(ErrorLoss):
    """Squared for small errors, absolute for large ones; see `functions.huber`.

    Attributes:
        delta: Error, in the unit of the target, at which one becomes the other.
    """

    delta: Positive = 1.0

    def measure(self, output: Tensor, target: Tensor, reduction: Reduction) -> Tensor:
        return functions.huber(self.activate(output), target, self.delta, reduction)
