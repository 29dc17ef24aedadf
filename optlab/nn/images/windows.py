"""Sliding windows over images: what convolution and pooling share.

Shapes: runs R, batch B, channels C, height H, width W, window (M, N), places of a window (P, Q).
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor

from optlab.config import ConfigError
from optlab.nn.normalization.eager import wide

#: A number for both axes of an image, or one for its height and one for its width.
Pair = int | tuple[int, int]


def pair(value: Pair, name: str, low: int = 1) -> tuple[int, int]:
    """Return a number for the height and one for the width.

    Raises:
        ConfigError: Unless there are one or two whole numbers of at least ``low``.
    """
    both = (value, value) if isinstance(value, int) else tuple(value)
    if len(both) != 2 or not all(type(number) is int and number >= low for number in both):
        raise ConfigError(f"{name} must be one or two whole numbers >= {low}, got {value!r}")
    return both[0], both[1]


def output_size(length: int, window: int, stride: int, padding: int, dilation: int = 1) -> int:
    """Return how many windows fit along an axis of ``length`` plus ``padding`` for both sides."""
    return (length + padding - dilation * (window - 1) - 1) // stride + 1


def check_pixels(name: str, x: Tensor) -> None:
    """Refuse images without pixels, padded or not.

    Raises:
        ConfigError: When H or W is 0.
    """
    if not (x.shape[-1] and x.shape[-2]):
        raise ConfigError(f"{name} takes images of at least one pixel, got x of {tuple(x.shape)}")


def is_channels_last(x: Tensor) -> bool:
    """Return whether images (R, B, C, H, W) lie in memory with their channels innermost."""
    return x.stride(2) == 1 and x.shape[2] > 1 and x.shape[3] * x.shape[4] > 1


def empty_images(like: Tensor, shape: Sequence[int]) -> Tensor:
    """Return images (R, B, C, H, W) of any content in the memory format of other images."""
    if not is_channels_last(like):
        return like.new_empty(shape)
    _, batch, channels, height, width = shape
    image = channels * height * width
    # No view of another tensor: nobody may write to such a result of an autograd function.
    return like.new_empty_strided(shape, (batch * image, image, 1, width * channels, channels))


def seen_by_place(
    x: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int] = (1, 1),
    fill: float = 0.0,
) -> list[Tensor]:
    """Return what all windows see at their first place, at their second, and so on, row by row.

    Args:
        x: Images (R, B, C, H, W).
        size: M and N.
        stride: Steps between windows.
        padding: What to add above, below, left and right of an image.
        dilation: Steps between rows and columns in a window.
        fill: What to add there.

    Returns:
        M N views of the padded images, (R, B, C, P, Q) each.
    """
    top, bottom, left, right = padding
    padded = torch.constant_pad_nd(x, (left, right, top, bottom), fill) if any(padding) else x
    return [padded[place] for place in _places(padded, size, stride, dilation)]


def gathered(
    values: Sequence[Tensor],
    x: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int] = (1, 1),
) -> Tensor:
    """Return the sum for each pixel of images ``x`` of its values in all windows that see it.

    This is what `seen_by_place` does to gradients. Half precision is summed in float32.

    Args:
        values: M N of them, (R, B, C, P, Q) each.
        x: The images, (R, B, C, H, W); only their shape counts.
        size: M and N.
        stride: Steps between windows.
        padding: What lies above, below, left and right of an image, and is dropped.
        dilation: Steps between rows and columns in a window.
    """
    top, bottom, left, right = padding
    height, width = x.shape[3:]
    padded = (*x.shape[:3], height + top + bottom, width + left + right)
    dtype = values[0].dtype
    sums = values[0].new_zeros(padded, dtype=wide(dtype))
    for value, place in zip(values, _places(sums, size, stride, dilation), strict=True):
        sums[place] += value
    return sums[..., top : top + height, left : left + width].to(dtype).contiguous()


def check_memory(failed: int) -> None:
    """Check what a C function returned.

    Raises:
        MemoryError: When it is not 0.
    """
    if failed:
        raise MemoryError("no memory for what a convolution or a pooling keeps while it computes")


def _places(
    padded: Tensor, size: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> list[tuple[Any, ...]]:
    """Return the pixels that windows have at each of their places, as indices."""
    along_axes = []
    for length, n, step, gap in zip(padded.shape[3:], size, stride, dilation, strict=True):
        extent = step * (output_size(length, n, step, 0, gap) - 1) + 1
        along_axes.append([slice(k * gap, k * gap + extent, step) for k in range(n)])
    return [(..., rows, columns) for rows, columns in product(*along_axes)]
