"""What a task gives to the runner: tensors in three splits, and what a model must map to what.

Shapes: rows N, features F, classes C, outputs D, time T, last steps S.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from optlab.config import validate

#: ``(predictions, targets) -> ()``: a mean over rows, of tensors shaped as `Split.y` is.
Metric = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Split:
    """Rows of one split, resident on one device.

    Attributes:
        x: Inputs, shape (N, ...), float32; or tokens, shape (N, T), int64.
        y: Labels of shape (N,), int64; or real targets of shape (N, D), float32. Where a sequence
            has a target at each of its last steps, (N, S) and (N, S, D).
    """

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return self.x.shape[0]

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> "Split":
        """Return the split on ``device``, its floating tensors as ``dtype``."""
        x, y = (
            part.to(device, dtype) if part.is_floating_point() else part.to(device)
            for part in (self.x, self.y)
        )
        return Split(x, y)


@dataclass(frozen=True)
class Data:
    """The three splits of a task.

    Attributes:
        train, val, test: The splits. The test split is read once, after training.
        num_classes: Number of classes, or None for real targets.
        num_outputs: Columns of a real target; for classes, the loss decides (one or C).
        objective: For a test function, the function itself, (N, D) -> (N,); its rows of ``y`` are
            gradient noise, and the loss is the mean of
            ``objective(output) + (y * output).sum(-1)``.
        minima: Known global minima of ``objective``, shape (M, D).
        vocabulary: For inputs that are tokens, how many symbols there are; else None.
        target_steps: For sequences with a target at each of their last S steps, that number; None
            where a row has one target.
        notes: What was measured while loading (rows dropped, zero fraction, labels flipped),
            written to the run's record.
    """

    train: Split
    val: Split
    test: Split
    num_classes: int | None = None
    num_outputs: int = 1
    objective: Callable[[Tensor], Tensor] | None = None
    minima: Tensor | None = None
    vocabulary: int | None = None
    target_steps: int | None = None
    notes: dict[str, float] = field(default_factory=dict)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, without the row axis."""
        return tuple(self.train.x.shape[1:])

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> "Data":
        """Return the data with every split on ``device``."""
        return replace(
            self,
            train=self.train.to(device, dtype),
            val=self.val.to(device, dtype),
            test=self.test.to(device, dtype),
        )


class Task(Protocol):
    """A source of data. Tasks are frozen dataclasses: their fields are their options.

    Attributes:
        default_loss: The loss chosen by ``loss=auto``.
    """

    default_loss: ClassVar[str]

    def load(self) -> Data:
        """Return the data on the CPU; the same options give the same tensors."""
        ...


@dataclass(frozen=True)
class CheckedTask(ABC):
    """Base of optlab's own tasks: options are checked however a task is made.

    Attributes:
        metrics: What a run records by these names beside the metrics that all tasks have.
    """

    default_loss: ClassVar[str]
    metrics: ClassVar[Mapping[str, Metric]] = MappingProxyType({})

    def __post_init__(self) -> None:
        validate(self, "task")

    @abstractmethod
    def load(self) -> Data:
        """Return the data on the CPU; the same options give the same tensors."""
