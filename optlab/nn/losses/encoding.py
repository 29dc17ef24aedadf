"""Targets as numbers: label encoding and one-hot rows (course notes, rows LOS-09 and LOS-10)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from optlab.config import ConfigError


def label_encode(values: Sequence[Any] | Tensor) -> tuple[Tensor, list[Any]]:
    """Number the different ``values`` in ascending order.

    Returns:
        Labels of shape (N,), int64, and the list whose entry i is what label i stands for.
    """
    items = values.tolist() if isinstance(values, Tensor) else list(values)
    classes = sorted(set(items))
    numbers = {value: number for number, value in enumerate(classes)}
    return torch.tensor([numbers[item] for item in items], dtype=torch.int64), classes


def one_hot(labels: Tensor, num_classes: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return rows with 1 in the label's column and 0 elsewhere, shape (N, C).

    Raises:
        ConfigError: For a label outside 0..C-1.
    """
    check_labels(labels, num_classes)
    return (labels.unsqueeze(-1) == torch.arange(num_classes, device=labels.device)).to(dtype)


def check_labels(labels: Tensor, num_classes: int) -> None:
    """Raise `ConfigError` for a label outside 0..C-1, and for what are no whole numbers."""
    if not isinstance(labels, Tensor) or labels.is_floating_point() or labels.is_complex():
        kind = labels.dtype if isinstance(labels, Tensor) else type(labels).__name__
        raise ConfigError(
            f"labels must be a tensor of whole numbers, int64, got {kind}; convert them with "
            ".long(), or number them with label_encode"
        )
    if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise ConfigError(
            f"labels must be in 0..{num_classes - 1} for {num_classes} classes, got "
            f"{int(labels.min())}..{int(labels.max())}; number them with label_encode"
        )
