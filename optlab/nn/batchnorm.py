"""Batch normalization of the features of a layer. Shapes: batch B, features F, length L."""

from typing import Literal

import torch
from torch import Tensor, nn

from optlab.config import ConfigError, check_value
from optlab.types import Fraction, Positive

EpsMode = Literal["variance", "sigma"]


class BatchNorm1d(nn.Module):
    """Gives every feature mean ``bias`` and deviation ``weight`` over the batch.

    In training, with mean m and biased variance v of the batch::

        normal = (x - m) / sqrt(v + eps)     eps_mode="variance", the paper
        normal = (x - m) / (sqrt(v) + eps)   eps_mode="sigma", the course notes
        output = weight * normal + bias

    and the running statistics move towards m and the unbiased variance by ``momentum``; in
    evaluation these take the place of m and v, so that the output of a row depends on no other
    row. Parameters and buffers are named as in `torch.nn.BatchNorm1d`, and state dicts can be
    exchanged. The variance is taken from centred values (two passes): E[x^2] - E[x]^2 loses all
    its digits where the mean is much larger than the deviation.

    Source: Ioffe and Szegedy, 2015, algorithms 1 and 2; course notes, rows NRM-01 to NRM-04, E9.

    Args:
        num_features: F; input and output have shape (B, F) or (B, F, L).
        eps: What is added to the variance or to sigma.
        momentum: Share of the new batch in the running statistics.
        affine: Whether to train ``weight`` (the notes' gamma) and ``bias`` (beta).
        eps_mode: Where ``eps`` goes; see above.
        device: Where to keep parameters and buffers.
        dtype: Their type; torch's default type if None.
    """

    weight: nn.Parameter | None
    bias: nn.Parameter | None
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        num_features: int,
        eps: Positive = 1e-5,
        momentum: Fraction = 0.1,
        affine: bool = True,
        eps_mode: EpsMode = "variance",
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = check_value(eps, Positive, "norm.eps")
        self.momentum = check_value(momentum, Fraction, "norm.momentum")
        self.eps_mode = check_value(eps_mode, EpsMode, "norm.eps_mode")
        ones = torch.ones(num_features, device=device, dtype=dtype)
        zeros = torch.zeros(num_features, device=device, dtype=dtype)
        self.weight = nn.Parameter(ones.clone()) if affine else None
        self.bias = nn.Parameter(zeros.clone()) if affine else None
        self.register_buffer("running_mean", zeros)
        self.register_buffer("running_var", ones)
        self.register_buffer("num_batches_tracked", torch.zeros((), device=device).long())

    def forward(self, x: Tensor) -> Tensor:
        """Normalize ``x``; in training, also move the running statistics (in place).

        Raises:
            ConfigError: For an input of another shape, and for a training batch with one value
                per feature, which has no variance.
        """
        if x.ndim == 3 and x.shape[1] == self.num_features:
            rows = x.transpose(1, 2)
            return self.forward(rows.flatten(0, 1)).view_as(rows).transpose(1, 2)
        if x.ndim != 2 or x.shape[1] != self.num_features:
            wanted = f"(B, {self.num_features}) or (B, {self.num_features}, L)"
            raise ConfigError(f"BatchNorm1d takes inputs of shape {wanted}, got {tuple(x.shape)}")
        if not self.training:
            return self._rescale(x - self.running_mean, self.running_var)
        mean = x.mean(0)
        centred = x - mean
        variance = (centred * centred).mean(0)
        self._track(mean.detach(), variance.detach(), count=x.shape[0])
        return self._rescale(centred, variance)

    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics towards a batch of ``count`` values per feature."""
        if count < 2:
            raise ConfigError(
                "batch normalization needs at least 2 values per feature to train on, got 1; "
                "choose a batch size that leaves no batch of one row, or norm=none"
            )
        # Not lerp_, which torch.vmap runs one member at a time.
        new = self.momentum
        self.running_mean.mul_(1 - new).add_(mean, alpha=new)
        self.running_var.mul_(1 - new).add_(variance, alpha=new * count / (count - 1))
        self.num_batches_tracked.add_(1)

    def _rescale(self, centred: Tensor, variance: Tensor) -> Tensor:
        if self.eps_mode == "variance":
            scale = torch.rsqrt(variance + self.eps)
        else:
            scale = torch.reciprocal(_root(variance) + self.eps)
        if self.weight is None or self.bias is None:
            return centred * scale
        return torch.addcmul(self.bias, centred, scale * self.weight)

    def extra_repr(self) -> str:
        """Return the options, for ``print(module)``."""
        return f"{self.num_features}, eps={self.eps:g}, eps_mode={self.eps_mode}"


def _root(variance: Tensor) -> Tensor:
    """Return sqrt with derivative 0 at 0, so that a constant feature sends no NaN back."""
    positive = variance > 0
    return torch.where(positive, variance, 1.0).sqrt() * positive
