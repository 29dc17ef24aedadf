"""Batch normalization of features and of images. Shapes: batch B, features F, length L, size H, W.

`optlab.nn.normalization.normalize` computes it.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from optlab.config import ConfigError, check_value
from optlab.nn.lone import parameter_of
from optlab.nn.normalization.normalize import batch_normalize, track
from optlab.types import Count, Fraction, Positive

EpsMode = Literal["variance", "sigma"]


class BatchNorm(nn.Module):
    """Gives every feature mean ``bias`` and deviation ``weight`` over the batch.

    In training, with mean m and biased variance v of the batch (and, where a feature has several
    positions, of all of them)::

        normal = (x - m) / sqrt(v + eps)     eps_mode="variance", the paper
        normal = (x - m) / (sqrt(v) + eps)   eps_mode="sigma", the course notes
        output = weight * normal + bias

    and the running statistics move towards m and the unbiased variance by ``momentum``; in
    evaluation these take the place of m and v, so that the output of a row depends on no other
    row. Parameters and buffers are named as in `torch.nn.BatchNorm1d`, and state dicts can be
    exchanged. The variance keeps its digits where the mean is much larger than the deviation,
    where E[x^2] - E[x]^2 loses all. Input of half precision is computed in float32; parameters
    are of its dtype or float32. The output has the input's dtype and order in memory.

    Source: Ioffe and Szegedy, 2015, algorithms 1 and 2; course notes, rows NRM-01 to NRM-04, E9.

    Args:
        num_features: F.
        eps: What is added to the variance or to sigma.
        momentum: Share of the new batch in the running statistics; None makes them plain averages
            over all batches.
        affine: Whether to train ``weight`` (the notes' gamma) and ``bias`` (beta).
        track_running_stats: Whether there are running statistics; without them evaluation uses
            the batch's, too.
        bias: Whether there is a ``bias`` beside ``weight``.
        eps_mode: Where ``eps`` goes; see above.
        device: Where to keep parameters and buffers.
        dtype: Their type; torch's default type if None.
    """

    #: Shapes of an input, for errors.
    shapes: str
    #: Numbers of axes of an input.
    axes: tuple[int, ...]

    weight: nn.Parameter | None
    bias: nn.Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: Positive = 1e-5,
        momentum: Fraction | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
        eps_mode: EpsMode = "variance",
    ) -> None:
        super().__init__()
        self.num_features: int = check_value(num_features, Count, "num_features")
        self.eps = check_value(eps, Positive, "norm.eps")
        self.momentum = check_value(momentum, Fraction | None, "norm.momentum")
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.eps_mode = check_value(eps_mode, EpsMode, "norm.eps_mode")
        ones = torch.ones(num_features, device=device, dtype=dtype)
        zeros = torch.zeros(num_features, device=device, dtype=dtype)
        self.weight = nn.Parameter(ones.clone()) if affine else None
        self.bias = nn.Parameter(zeros.clone()) if affine and bias else None
        batches = torch.zeros((), device=device, dtype=torch.int64)
        self.register_buffer("running_mean", zeros if track_running_stats else None)
        self.register_buffer("running_var", ones if track_running_stats else None)
        self.register_buffer("num_batches_tracked", batches if track_running_stats else None)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize ``x``; in training, also move the running statistics (in place).

        Raises:
            ConfigError: For an input of another shape or dtype, and for a batch with one value
                per feature where its own statistics are needed: it has no variance.
        """
        shape = x.shape
        if len(shape) not in self.axes or shape[1] != self.num_features:
            raise self._wrong_shape(x)
        # Lookups in the tables themselves: by attribute they take longer than a small batch.
        kept, sigma = self._buffers, self.eps_mode == "sigma"
        mean, variance = kept["running_mean"], kept["running_var"]
        weight, bias = parameter_of(self, "weight"), parameter_of(self, "bias")
        if mean is not None and not self.training:
            return batch_normalize(x, weight, bias, mean, variance, self.eps, sigma)[0]
        count = shape[0] if len(shape) == 2 else shape[0] * math.prod(shape[2:])
        if count < 2:
            raise ConfigError(
                f"batch normalization needs at least 2 values per feature to train on, got {count};"
                " choose a batch size that leaves no batch of one row, or norm=none"
            )
        y, moments = batch_normalize(x, weight, bias, None, None, self.eps, sigma)
        batches = kept["num_batches_tracked"]
        if mean is not None and variance is not None and batches is not None:
            track(moments, count, self.momentum, (mean, variance, batches))
        return y

    def _wrong_shape(self, x: Tensor) -> ConfigError:
        wanted = self.shapes.replace("F", str(self.num_features))
        name = type(self).__name__
        return ConfigError(f"{name} takes inputs of shape {wanted}, got {tuple(x.shape)}")

    def extra_repr(self) -> str:
        """Return the options, for ``print(module)``."""
        return f"{self.num_features}, eps={self.eps:g}, eps_mode={self.eps_mode}"


class BatchNorm1d(BatchNorm):
    """`BatchNorm` of rows, (B, F), or of sequences, (B, F, L).

    Otherwise as `torch.nn.BatchNorm1d`.
    """

    shapes = "(B, F) or (B, F, L)"
    axes = (2, 3)


class BatchNorm2d(BatchNorm):
    """`BatchNorm` of images, (B, F, H, W), in the usual order in memory or with channels last.

    Otherwise as `torch.nn.BatchNorm2d`.
    """

    shapes = "(B, F, H, W)"
    axes = (4,)
