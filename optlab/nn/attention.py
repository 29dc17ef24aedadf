"""Attention: every step of a sequence takes a weighted mean over others.

Shapes: runs R, batch B, time T, features E, heads h, features of a head d = E / h.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from optlab.config import ConfigError
from optlab.init import Initializer, uniform_fan_in_
from optlab.nn.activations import softmax
from optlab.nn.linear import Linear
from optlab.nn.operation import Operation


def attention(query: Tensor, key: Tensor, value: Tensor, *, causal: bool = False) -> Tensor:
    """Return softmax(query key^T / sqrt(d)) value, shape (..., T, d of value).

    Step i scores every step j by the product of its query with the other's key; the softmax of
    the scores, over j, are the weights of the values.

    Source: Vaswani et al., 2017, equation 1.

    Args:
        query: Shape (..., T, d).
        key: Shape (..., S, d).
        value: Shape (..., S, any).
        causal: Whether step i takes steps j <= i only; then S = T.

    Raises:
        ConfigError: For shapes that do not fit (leading axes are not broadcast), for S = 0, and for
            a causal call with S other than T.
    """
    _check_shapes(query, key, value, causal)
    if torch.compiler.is_compiling():
        # A compiler joins these with what comes before and after, and is faster than the operation.
        return _in_plain_operations(query, key, value, causal)[0]
    found, *_ = _attend(query.unsqueeze(0), key.unsqueeze(0), value.unsqueeze(0), causal)
    return found.squeeze(0)


class MultiHeadAttention(nn.Module):
    """Attention of the steps of a sequence (..., T, E) to each other, by several heads at once.

    Queries, keys and values are three affine maps of the input; each head attends with its own
    share of their features, and a fourth map mixes what the heads found. Parameters are named and
    laid out as in `torch.nn.MultiheadAttention`, and state dicts can be exchanged: queries, keys
    and values stand one below the other in ``in_proj_weight`` (3 E, E). Initializers fill them as
    the three weights that they are.

    Source: Vaswani et al., 2017, section 3.2.2.

    Args:
        embed_dim: E, a multiple of ``num_heads``.
        num_heads: h.
        bias: Whether to add biases, which start at 0.
        causal: Whether a step takes from itself and earlier steps only.
        generator: Stream of the first weights; see `optlab.nn.Linear`.
        device: Where to keep the parameters.
        dtype: Their type; torch's default type if None.

    Raises:
        ConfigError: When the heads cannot share the features equally.
    """

    in_proj_bias: nn.Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        *,
        bias: bool = True,
        causal: bool = False,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if num_heads < 1 or embed_dim % num_heads:
            raise ConfigError(
                f"heads share the features equally, so their number must divide {embed_dim}, "
                f"got {num_heads}"
            )
        self.embed_dim, self.num_heads, self.causal = embed_dim, num_heads, causal
        weight = torch.empty(3 * embed_dim, embed_dim, dtype=torch.float32)
        uniform_fan_in_(weight, generator=generator)
        self.in_proj_weight = nn.Parameter(weight.to(device, dtype or torch.get_default_dtype()))
        zeros = torch.zeros(3 * embed_dim, device=device, dtype=dtype)
        self.in_proj_bias = nn.Parameter(zeros) if bias else None
        self.out_proj = Linear(
            embed_dim, embed_dim, bias, generator=generator, device=device, dtype=dtype
        )

    def initialize_(self, fill: Callable[[str, Tensor, Initializer | None], None]) -> None:
        """Fill the weights of queries, keys and values; see `optlab.init.SelfInitialized`."""
        thirds = self.in_proj_weight.chunk(3)
        for part, weight in zip(("query", "key", "value"), thirds, strict=True):
            fill(f"in_proj_weight.{part}", weight, None)
        if self.in_proj_bias is not None:
            self.in_proj_bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """Return what every step found, shape (..., T, E).

        Raises:
            ConfigError: For an input of another shape.
        """
        if x.ndim < 2 or x.shape[-1] != self.embed_dim:
            raise ConfigError(
                f"MultiHeadAttention takes inputs of shape (..., T, {self.embed_dim}), "
                f"got {tuple(x.shape)}"
            )
        projected = x @ self.in_proj_weight.t()
        if self.in_proj_bias is not None:
            projected = projected + self.in_proj_bias
        query, key, value = (self._by_head(part) for part in projected.chunk(3, -1))
        found = attention(query, key, value, causal=self.causal)
        mixed: Tensor = self.out_proj(found.transpose(-2, -3).reshape(x.shape))
        return mixed

    def _by_head(self, features: Tensor) -> Tensor:
        """Return (..., T, E) as (..., h, T, d)."""
        size = self.embed_dim // self.num_heads
        return features.reshape(*features.shape[:-1], self.num_heads, size).transpose(-2, -3)

    def extra_repr(self) -> str:
        """Return the options, for ``print(module)``."""
        return f"{self.embed_dim}, {self.num_heads}, causal={self.causal}"


def _later_steps(steps: int, device: torch.device) -> Tensor:
    """Return where column j is later than row i, shape (T, T)."""
    time = torch.arange(steps, device=device)
    return time[None, :] > time[:, None]


def _check_shapes(query: Tensor, key: Tensor, value: Tensor, causal: bool) -> None:
    flat = min(query.ndim, key.ndim, value.ndim) < 2
    if (
        flat
        or key.shape[:-2] != query.shape[:-2]
        or key.shape[-1] != query.shape[-1]
        or value.shape[:-1] != key.shape[:-1]
    ):
        raise ConfigError(
            "attention takes query (..., T, d), key (..., S, d) and value (..., S, any), got "
            f"{tuple(query.shape)}, {tuple(key.shape)} and {tuple(value.shape)}"
        )
    steps, others = query.shape[-2], key.shape[-2]
    if others == 0:
        raise ConfigError("attention needs one step or more, got keys of length 0")
    if causal and steps != others:
        raise ConfigError(
            f"causal attention is among the steps of one sequence, got {steps} queries and "
            f"{others} keys"
        )


def _in_plain_operations(
    query: Tensor, key: Tensor, value: Tensor, causal: bool
) -> tuple[Tensor, Tensor]:
    """Return what was found, (..., T, any), and the weights of the values, (..., T, S)."""
    scores = (query / math.sqrt(query.shape[-1])) @ key.mT
    if causal:
        scores = scores.masked_fill(_later_steps(query.shape[-2], scores.device), -math.inf)
    weights = softmax(scores)
    return weights @ value, weights


def _forward(query: Tensor, key: Tensor, value: Tensor, causal: bool) -> tuple[Tensor, Tensor]:
    """Return what was found, (R, ..., T, any), and the weights of the values, (R, ..., T, S)."""
    with torch.autocast(query.device.type, enabled=False):
        scores = (query / math.sqrt(query.shape[-1])) @ key.mT
        if causal:
            scores.masked_fill_(_later_steps(query.shape[-2], scores.device), -math.inf)
        weights = scores.sub_(scores.amax(-1, keepdim=True)).exp_()
        weights.div_(weights.sum(-1, keepdim=True))
        return weights @ value, weights


def _backward(
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    found: Tensor,
    weights: Tensor,
    causal: bool,
    needed: list[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of query, key and value.

    With the softmax's dS = W * (dW - sum(dW * W)), whose sum is that of grad * found::

        dV = W^T grad     dW = grad V^T     dQ = dS K / sqrt(d)     dK = dS^T Q / sqrt(d)
    """
    root = math.sqrt(query.shape[-1])
    with torch.autocast(query.device.type, enabled=False):
        shared = (grad * found).sum(-1, keepdim=True)
        by_score = (grad @ value.mT).sub_(shared).mul_(weights)
        return (by_score @ key).div_(root), (by_score.mT @ query).div_(root), weights.mT @ grad


def _shapes(query: Tensor, key: Tensor, value: Tensor, causal: bool) -> tuple[Tensor, Tensor]:
    steps = query.shape[:-1]
    return value.new_empty(*steps, value.shape[-1]), query.new_empty(*steps, key.shape[-2])


def _reference(query: Tensor, key: Tensor, value: Tensor, causal: bool) -> tuple[Tensor]:
    return _in_plain_operations(query, key, value, causal)[:1]


_attend = Operation("attention", _forward, _backward, _shapes, _reference, num_tensors=3)
