"""Pooling: one number for each window of an image.

Shapes: batch B, channels C, height H, width W, output P x Q.
"""

# ruff: noqa: D102 - overrides carry no docstring; their contract stands on the base class

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from optlab.config import ConfigError
from optlab.nn.images.pooling_operation import avg_pool2d, max_pool2d
from optlab.nn.images.windows import Pair, check_pixels, output_size, pair

#: A place in a window is a 16-bit number.
_MOST_PIXELS = 2**15


class Pool2d(nn.Module, ABC):
    """Maps images (B, C, H, W), or one (C, H, W), to one number per channel and window.

    P = (H + 2 padding - kernel_size) // stride + 1, and so Q: with the default stride the size is
    divided by the kernel's, and so is the work of all that follows (course notes, row CNN-03).
    Pixels behind the last whole window are left out (torch's ``ceil_mode=False``). The output has
    the memory format of the input. The gradients are written by hand.

    Args:
        kernel_size: Rows and columns of a window.
        stride: Step between two windows; the kernel's size if None.
        padding: How many rows and columns a window may reach over the edge, half of it at most.

    Raises:
        ConfigError: For an option out of range, or images of another shape or type.
    """

    def __init__(self, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0) -> None:
        super().__init__()
        self.kernel_size = pair(kernel_size, "kernel_size")
        self.stride = self.kernel_size if stride is None else pair(stride, "stride")
        self.padding = pair(padding, "padding", low=0)
        if any(2 * p > n for p, n in zip(self.padding, self.kernel_size, strict=True)):
            raise ConfigError(
                f"padding must be at most half of kernel_size {self.kernel_size}, got {padding}"
            )
        if self.kernel_size[0] * self.kernel_size[1] > _MOST_PIXELS:
            raise ConfigError(
                f"kernel_size must cover at most {_MOST_PIXELS} pixels, got {self.kernel_size}"
            )

    @abstractmethod
    def pool(
        self, x: Tensor, size: Sequence[int], stride: Sequence[int], padding: Sequence[int]
    ) -> Tensor:
        """Return one number per window of images (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the pooled images, shape (B, C, P, Q)."""
        self._check_input(x)
        images = x if x.ndim == 4 else x.unsqueeze(0)
        y = self.pool(images, self.kernel_size, self.stride, self.padding)
        return y if x.ndim == 4 else y.squeeze(0)

    def _check_input(self, x: Tensor) -> None:
        name = type(self).__name__
        if x.ndim not in (3, 4):
            wanted = "(B, C, H, W) or (C, H, W)"
            raise ConfigError(f"{name} takes x of shape {wanted}, got {tuple(x.shape)}")
        if not x.is_floating_point():
            raise ConfigError(f"{name} takes x of real numbers, got {x.dtype}; convert it first")
        check_pixels(name, x)
        for axis, n, padding in zip((-2, -1), self.kernel_size, self.padding, strict=True):
            if output_size(x.shape[axis], n, 1, 2 * padding) < 1:
                raise ConfigError(
                    f"{name} takes x of at least {n - 2 * padding} pixels along axis {axis}, "
                    f"got x of shape {tuple(x.shape)}"
                )

    def extra_repr(self) -> str:
        """Return the options, for ``print(module)``."""
        return f"{self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool2d(Pool2d):
    """The largest pixel of each window; its gradient goes to the first pixel that is largest.

    NaN counts as larger than all, so that it is not hidden. Padding never is the largest. Source:
    Ranzato et al., 2007; behaviour of `torch.nn.MaxPool2d`.
    """

    def pool(
        self, x: Tensor, size: Sequence[int], stride: Sequence[int], padding: Sequence[int]
    ) -> Tensor:
        return max_pool2d(x, size, stride, padding)


class AvgPool2d(Pool2d):
    """The mean of each window, zeros of the padding included, as `torch.nn.AvgPool2d` has it.

    Source: LeCun et al., 1998, section II.B, without its trained scale and bias.
    """

    def pool(
        self, x: Tensor, size: Sequence[int], stride: Sequence[int], padding: Sequence[int]
    ) -> Tensor:
        return avg_pool2d(x, size, stride, padding)


class GlobalAvgPool2d(nn.Module):
    """The mean of each channel: maps images (B, C, H, W) to (B, C).

    Each pixel's gradient is that of its mean over H W. Source: Lin et al., 2013, section 3.2.

    Raises:
        ConfigError: For an input that is no batch of images of at least one pixel.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the means, shape (B, C)."""
        if x.ndim != 4 or x.shape[2] * x.shape[3] == 0:
            raise ConfigError(
                "GlobalAvgPool2d takes x of shape (B, C, H, W) with at least one pixel, got "
                f"{tuple(x.shape)}"
            )
        return x.mean((2, 3))
