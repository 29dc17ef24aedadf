"""The convolutional layer. Shapes: batch B, channels C, height H, width W, output P x Q."""

from typing import Literal

import torch
from torch import Tensor, nn

from optlab.config import ConfigError
from optlab.init import uniform_fan_in_
from optlab.nn.images.convolution_operation import convolve
from optlab.nn.images.windows import Pair, check_pixels, output_size, pair
from optlab.nn.lone import parameter_of


class Conv2d(nn.Module):
    """Maps images (B, C, H, W), or one of them, to (B, out_channels, P, Q) by sliding filters.

    Each output channel is a cross-correlation of the zero-padded image with a filter of its own,
    plus a bias: P = (H + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1, and so Q.
    Parameters are named and laid out as in `torch.nn.Conv2d`, and state dicts can be exchanged. The
    output has the memory format of the input. The gradients are written by hand.

    Source: LeCun et al., 1998, section II.A; course notes, rows CNN-01 and CNN-02.

    Args:
        in_channels: C.
        out_channels: Number of filters.
        kernel_size: Rows and columns of a filter.
        stride: Step between two places of a filter.
        padding: Zeros around the image on either side; or "valid" for none, or "same" for as many
            as keep its size (with stride 1; an odd one goes to the bottom and the right).
        dilation: Step between two rows or columns of the image that a filter sees.
        groups: Into how many groups channels and filters are divided; a filter sees the channels of
            its own group only. C groups make a depthwise convolution.
        bias: Whether to add a bias, which starts at 0.
        padding_mode: "zeros"; the other modes of torch are not here.
        generator: Stream of the first weights; see `optlab.nn.Linear`.
        device: Where to keep the parameters.
        dtype: Their type; torch's default type if None.

    Raises:
        ConfigError: For an option out of range, channels that ``groups`` does not divide, or an
            input or a replaced parameter of another shape, type or device than the layer takes.
    """

    bias: nn.Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair | Literal["same", "valid"] = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Literal["zeros"] = "zeros",
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if padding_mode != "zeros":
            raise ConfigError(f'padding_mode must be "zeros", got {padding_mode!r}')
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self._check_channels()
        self.kernel_size = pair(kernel_size, "kernel_size")
        self.stride = pair(stride, "stride")
        self.dilation = pair(dilation, "dilation")
        self.padding = padding if isinstance(padding, str) else pair(padding, "padding", low=0)
        self._sides = self._padded_sides()
        dtype = dtype or torch.get_default_dtype()
        _check_dtype(dtype, "dtype")
        weight = torch.empty(
            out_channels, in_channels // groups, *self.kernel_size, dtype=torch.float32
        )
        uniform_fan_in_(weight, generator=generator)
        self.weight = nn.Parameter(weight.to(device, dtype))
        zeros = torch.zeros(out_channels, device=device, dtype=dtype)
        self.bias = nn.Parameter(zeros) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the filtered images, shape (B, out_channels, P, Q)."""
        weight, bias = parameter_of(self, "weight"), parameter_of(self, "bias")
        assert weight is not None
        self._check_parameters(weight, bias)
        self._check_input(x, weight)
        images = x if x.ndim == 4 else x.unsqueeze(0)
        y = convolve(images, weight, bias, self.stride, self._sides, self.dilation, self.groups)
        return y if x.ndim == 4 else y.squeeze(0)

    def _check_channels(self) -> None:
        if self.groups < 1:
            raise ConfigError(f"groups must be at least 1, got {self.groups}")
        for name in ("in_channels", "out_channels"):
            size = getattr(self, name)
            if size < 1 or size % self.groups:
                raise ConfigError(
                    f"{name} must be at least 1 and divide into {self.groups} groups, got {size}"
                )

    def _padded_sides(self) -> tuple[int, int, int, int]:
        """Return the zeros above, below, left and right of the image."""
        if isinstance(self.padding, tuple):
            high, wide = self.padding
            return high, high, wide, wide
        if self.padding == "valid":
            return 0, 0, 0, 0
        if self.padding != "same":
            raise ConfigError(
                f'padding must be a number, two, "same" or "valid", got {self.padding!r}'
            )
        if self.stride != (1, 1):
            raise ConfigError(f'padding="same" needs stride 1, got {self.stride}; give a number')
        high, wide = (d * (k - 1) for k, d in zip(self.kernel_size, self.dilation, strict=True))
        return high // 2, high - high // 2, wide // 2, wide - wide // 2

    def _check_parameters(self, weight: Tensor, bias: Tensor | None) -> None:
        """Refuse what somebody put in place of the parameters, where it does not fit."""
        wanted = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        if weight.shape != wanted:
            raise ConfigError(f"Conv2d takes a weight of shape {wanted}, got {tuple(weight.shape)}")
        _check_dtype(weight.dtype, "weight")
        if bias is None:
            return
        if bias.shape != wanted[:1]:
            raise ConfigError(f"Conv2d takes a bias of shape {wanted[:1]}, got {tuple(bias.shape)}")
        if bias.dtype != weight.dtype or bias.device != weight.device:
            raise ConfigError(
                f"Conv2d takes a bias of its weight's type, {weight.dtype} on {weight.device}, got "
                f"{bias.dtype} on {bias.device}; convert one of them with .to()"
            )

    def _check_input(self, x: Tensor, weight: Tensor) -> None:
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            wanted = f"(B, {self.in_channels}, H, W) or ({self.in_channels}, H, W)"
            raise ConfigError(f"Conv2d takes x of shape {wanted}, got {tuple(x.shape)}")
        if x.dtype != weight.dtype or x.device != weight.device:
            raise ConfigError(
                f"Conv2d takes x of its own type, {weight.dtype} on {weight.device}, got "
                f"{x.dtype} on {x.device}; convert one of them with .to()"
            )
        check_pixels("Conv2d", x)
        high, wide = self._sides[0] + self._sides[1], self._sides[2] + self._sides[3]
        for axis, padding, kernel, stride, dilation in zip(
            (-2, -1), (high, wide), self.kernel_size, self.stride, self.dilation, strict=True
        ):
            if output_size(x.shape[axis], kernel, stride, padding, dilation) < 1:
                raise ConfigError(
                    f"Conv2d takes x of at least {dilation * (kernel - 1) + 1 - padding} pixels "
                    f"along axis {axis}, got x of shape {tuple(x.shape)}"
                )

    def extra_repr(self) -> str:
        """Return the sizes, for ``print(module)``."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"groups={self.groups}, bias={self.bias is not None}"
        )


def _check_dtype(dtype: torch.dtype, name: str) -> None:
    if not dtype.is_floating_point:
        raise ConfigError(f"Conv2d takes a {name} of real floating-point numbers, got {dtype}")
