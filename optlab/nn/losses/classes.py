"""Losses of class labels: two classes by the sign of one score, or C classes by C scores."""

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


@dataclass(frozen=True)
class BinaryLoss(Loss):
    """A loss of one score z for two classes: z >= 0 means class 1.

    Attributes:
        negative: The number that stands for class 0; 1 stands for class 1.
    """

    max_classes: ClassVar[int | None] = 2
    negative: ClassVar[float]

    def num_outputs(self, num_classes: int) -> int:
        self.check_targets(num_classes)
        return 1

    def encode(
        self, labels: Tensor, num_classes: int, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        self.check_targets(num_classes)
        check_labels(labels, num_classes)
        return (labels * (1 - self.negative) + self.negative).to(dtype).unsqueeze(-1)

    def predict(self, output: Tensor) -> Tensor:
        return (output[..., 0] >= 0).long()

    def labels(self, target: Tensor) -> Tensor:
        return (target[..., 0] > self.negative).long()


@losses.register("bce")
@dataclass(frozen=True)
class BCE(BinaryLoss):
    """Binary cross-entropy of sigmoid(z); see `functions.bce_with_logits`."""

    heads: ClassVar[tuple[str, ...]] = ("sigmoid",)
    negative: ClassVar[float] = 0.0

    def measure(self, output: Tensor, target: Tensor, reduction: Reduction) -> Tensor:
        return functions.bce_with_logits(output, target, reduction)


@losses.register("perceptron")
@dataclass(frozen=True)
class PerceptronLoss(BinaryLoss):
    """The perceptron criterion max(0, -y z); see `functions.perceptron_loss`."""

    heads: ClassVar[tuple[str, ...]] = ("step",)
    negative: ClassVar[float] = -1.0

    def measure(self, output: Tensor, target: Tensor, reduction: Reduction) -> Tensor:
        return functions.perceptron_loss(output, target, reduction)


@losses.register("hinge")
@dataclass(frozen=True)
class Hinge(BinaryLoss):
    """The hinge loss max(0, 1 - y z); see `functions.hinge`."""

    heads: ClassVar[tuple[str, ...]] = ("step",)
    negative: ClassVar[float] = -1.0

    def measure(self, output: Tensor, target: Tensor, reduction: Reduction) -> Tensor:
        return functions.hinge(output, target, reduction)


@losses.register("cce")
@dataclass(frozen=True)
class CCE(Loss):
    """Cross-entropy of softmax(z) with one-hot targets; see `functions.cce_with_logits`."""

    heads: ClassVar[tuple[str, ...]] = ("softmax",)

    def measure(self, output: Tensor, target: Tensor, reduction: Reduction) -> Tensor:
        return functions.cce_with_logits(output, target, reduction)

    def encode(
        self, labels: Tensor, num_classes: int, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        self.check_targets(num_classes)
        return one_hot(labels, num_classes, dtype)

    def predict(self, output: Tensor) -> Tensor:
        return output.argmax(-1)

    def labels(self, target: Tensor) -> Tensor:
        return target.argmax(-1)


@losses.register("sparse_cce")
@dataclass(frozen=True)
class SparseCCE(CCE):
    """`CCE` with labels as targets, which is faster; see `functions.sparse_cce_with_logits`."""

    def measure(self, output: Tensor, target: Tensor, reduction: Reduction) -> Tensor:
        return functions.sparse_cce_with_logits(output, target, reduction)

    def encode(
        self, labels: Tensor, num_classes: int, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        self.check_targets(num_classes)
        check_labels(labels, num_classes)
        return labels

    def labels(self, target: Tensor) -> Tensor:
        return target
