"""Layer normalization: every row by its own statistics. Shapes: batch B, features F, size H, W.

`optlab.nn.normalization.rows` computes it.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from optlab.config import ConfigError, check_value
from optlab.init import Initializer
from optlab.nn.lone import parameter_of
from optlab.nn.normalization.rows import row_normalize
from optlab.types import Count, Positive


class LayerNorm(nn.Module):
    """Gives the features of every row mean 0 and deviation 1, then scales and shifts them.

    With mean m and biased variance v of a row::

        output = weight * (x - m) / sqrt(v + eps) + bias

    Training and evaluation are the same, and no row depends on another. Parameters are named and
    laid out as in `torch.nn.LayerNorm`, and state dicts can be exchanged. Input of half precision
    is computed in float32; parameters are of its dtype or float32.

    Source: Ba, Kiros and Hinton, 2016, equation 4 (without the recurrence).

    Args:
        normalized_shape: The last axes of an input, (..., *normalized_shape), which have their
            statistics together; a number stands for one axis.
        eps: What is added to the variance.
        elementwise_affine: Whether to train ``weight`` and ``bias``, of that shape.
        bias: Whether there is a ``bias`` beside ``weight``.
        device: Where to keep the parameters.
        dtype: Their type; torch's default type if None.
    """

    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: Positive = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        axes = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
        lengths = tuple(check_value(length, Count, "normalized_shape") for length in axes)
        if not lengths:
            raise ConfigError("normalized_shape must have an axis, got (); name the last axes")
        self.normalized_shape = lengths
        self.eps = check_value(eps, Positive, "norm.eps")
        self.elementwise_affine = elementwise_affine
        ones = torch.ones(lengths, device=device, dtype=dtype)
        zeros = torch.zeros(lengths, device=device, dtype=dtype)
        self.weight = nn.Parameter(ones) if elementwise_affine else None
        self.bias = nn.Parameter(zeros) if elementwise_affine and bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalized input, of the same shape.

        Raises:
            ConfigError: For an input of another shape or dtype.
        """
        axes = self.normalized_shape
        if x.ndim < len(axes) or x.shape[-len(axes) :] != axes:
            wanted = ", ".join(map(str, axes))
            raise ConfigError(f"LayerNorm takes inputs of shape (..., {wanted}), got {_tuple(x)}")
        weight, bias = parameter_of(self, "weight"), parameter_of(self, "bias")
        if len(axes) == 1:
            return row_normalize(x, weight, bias, self.eps)
        flat = [None if t is None else t.flatten() for t in (weight, bias)]
        rows = x.reshape(*x.shape[: -len(axes)], math.prod(axes))
        return row_normalize(rows, flat[0], flat[1], self.eps).view(x.shape)

    @torch.no_grad()
    def initialize_(self, fill: Callable[[str, Tensor, Initializer | None], None]) -> None:
        """Start as a plain normalization, whatever fills weights: a scale is none, however shaped.

        See `optlab.init.SelfInitialized`.
        """
        if self.weight is not None:
            self.weight.fill_(1)
        if self.bias is not None:
            self.bias.zero_()

    def extra_repr(self) -> str:
        """Return the options, for ``print(module)``."""
        return f"{self.normalized_shape}, eps={self.eps:g}"


class LayerNorm2d(LayerNorm):
    """`LayerNorm` of images, (B, F, H, W), over the F channels of every pixel on its own.

    Weight and bias have shape (F,). The output has the input's order in memory; with channels
    last nothing needs to be moved.

    Args:
        num_features: F.
        eps: What is added to the variance.
        elementwise_affine: Whether to train ``weight`` and ``bias``.
        bias: Whether there is a ``bias`` beside ``weight``.
        device: Where to keep the parameters.
        dtype: Their type; torch's default type if None.
    """

    def __init__(
        self,
        num_features: int,
        eps: Positive = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_features, eps, elementwise_affine, bias, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalized images.

        Raises:
            ConfigError: For an input of another shape or dtype.
        """
        features = self.normalized_shape[0]
        if x.ndim != 4 or x.shape[1] != features:
            wanted = f"(B, {features}, H, W)"
            raise ConfigError(f"LayerNorm2d takes inputs of shape {wanted}, got {_tuple(x)}")
        y = super().forward(x.movedim(1, -1)).movedim(-1, 1)
        return y.contiguous() if x.is_contiguous() else y


def _tuple(x: Tensor) -> tuple[int, ...]:
    return tuple(x.shape)
