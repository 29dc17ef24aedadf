"""Paths of a parameter under given gradients, for comparing an optimizer with its references."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]


def random_gradients(
    steps: int = 50, shape: tuple[int, ...] = (4, 3), dtype: torch.dtype = torch.float64
) -> Tensor:
    """Return gradients of shape (steps, *shape), a few orders of magnitude apart per element."""
    generator = torch.Generator().manual_seed(7)
    noise = torch.randn((steps, *shape), generator=generator, dtype=torch.float64)
    scale = 10 ** torch.randn(shape, generator=generator, dtype=torch.float64)
    return (noise * scale).to(dtype)


def start(shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Tensor:
    count = int(np.prod(shape))
    return torch.linspace(-1, 1, count, dtype=dtype).reshape(shape)


def path(
    make: Callable[..., torch.optim.Optimizer], grads: Tensor | Sequence[Tensor], **options: Any
) -> Tensor:
    """Return the parameter after each step of ``make([param], **options)``."""
    first = grads[0]
    param = nn.Parameter(start(tuple(first.shape), first.dtype))
    optimizer = make([param], **options)
    points = []
    for grad in grads:
        param.grad = grad.clone()
        optimizer.step()
        points.append(param.detach().clone())
    return torch.stack(points)


def assert_close(actual: Tensor, expected: Tensor | Array, tolerance: float) -> None:
    """Compare relative to the size of each value, or of 1 where values are smaller."""
    torch.testing.assert_close(actual, torch.as_tensor(expected), rtol=tolerance, atol=tolerance)
