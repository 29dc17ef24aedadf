"""What a loss is to the program: from raw scores and a resident target to one number.

Shapes: batch B, rows N, outputs D, classes C.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor

from optlab.config import ConfigError, validate
from optlab.nn.activations import softmax, step
from optlab.nn.losses.functions import Reduction
from optlab.registry import losses

Head = Literal["auto", "identity", "sigmoid", "softmax", "step"]

_HEADS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda score: score,
    "sigmoid": torch.sigmoid,
    "softmax": softmax,
    "step": step,
}


@dataclass(frozen=True)
class Loss(ABC):
    """A loss together with the output activation ("head") that belongs to it (row LOS-13).

    The model always gives the raw score z of its last linear layer; the loss knows the head, and
    uses the stable form of both where there is one. Labels are encoded once, before training;
    everything else is pure and works under `torch.vmap`. A subclass gives `measure` and
    what turns labels into targets and back.

    Attributes:
        head: Output activation; ``"auto"`` takes the first of ``heads``.
        heads: Heads that the loss allows, its default first.
        for_classes: Whether it applies to class labels.
        for_real: Whether it applies to real targets of shape (N, D), which are used as they are.
        max_classes: The most classes it can tell apart, or None.
    """

    heads: ClassVar[tuple[str, ...]]
    for_classes: ClassVar[bool] = True
    for_real: ClassVar[bool] = False
    max_classes: ClassVar[int | None] = None

    head: Head = field(default="auto", kw_only=True)

    def __post_init__(self) -> None:
        validate(self, "loss")
        head = self.heads[0] if self.head == "auto" else self.head
        if head not in self.heads:
            raise ConfigError(
                f"loss {name_of(type(self))} cannot have head {head} (loss.head): it goes with "
                f"{' or '.join(self.heads)}; {head} goes with {_names_with_head(head)}"
            )
        object.__setattr__(self, "head", head)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the cost, the mean over the batch, 0-d."""
        return self.measure(output, target, "mean")

    def per_sample(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each row, shape (B,); its mean is the cost."""
        values = self.measure(output, target, "none")
        return values if values.ndim == 1 else values.mean(-1)

    @abstractmethod
    def measure(self, output: Tensor, target: Tensor, reduction: Reduction) -> Tensor:
        """Return the cost (``"mean"``), or what it is the mean of: (B,) or (B, D) (``"none"``).

        Args:
            output: Raw scores, shape (B, D).
            target: What `encode` made of the labels, or real targets of shape (B, D).
            reduction: As in `optlab.nn.losses.functions`.
        """

    def activate(self, output: Tensor) -> Tensor:
        """Return the model's answer, head(z): probabilities, decisions or real predictions."""
        return _HEADS[self.head](output)

    def check_targets(self, num_classes: int | None) -> None:
        """Make sure that the loss fits a task with so many classes, or with real targets (None).

        Raises:
            ConfigError: Saying which losses would fit.
        """
        if not fits(type(self), num_classes):
            kind = "real targets" if num_classes is None else f"{num_classes} classes"
            fitting = [name for name, entry in losses.items() if fits(entry, num_classes)]
            raise ConfigError(
                f"loss {name_of(type(self))} does not fit a task with {kind}; "
                f"choose one of {', '.join(fitting) or 'none'}"
            )

    def num_outputs(self, num_classes: int) -> int:
        """Return how many outputs D the model needs for so many classes."""
        self.check_targets(num_classes)
        return num_classes

    @abstractmethod
    def encode(
        self, labels: Tensor, num_classes: int, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Return labels (N,) int64 as the target that `measure` wants; ``dtype`` if it is real."""

    @abstractmethod
    def predict(self, output: Tensor) -> Tensor:
        """Return the predicted labels, shape (B,), int64."""

    @abstractmethod
    def labels(self, target: Tensor) -> Tensor:
        """Return the labels that `encode` was given, shape (B,), int64."""


def fits(entry: type[Loss], num_classes: int | None) -> bool:
    """Return whether a loss class applies to so many classes, or to real targets (None)."""
    if num_classes is None:
        return entry.for_real
    enough = entry.max_classes is None or num_classes <= entry.max_classes
    return entry.for_classes and enough and num_classes >= 2


def name_of(entry: type[Loss]) -> str:
    """Return the name by which a configuration chooses ``entry``."""
    return next((name for name, known in losses.items() if known is entry), entry.__name__)


def _names_with_head(head: str) -> str:
    return ", ".join(name for name, entry in losses.items() if head in entry.heads) or "no loss"
