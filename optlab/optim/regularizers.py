"""Penalties, decay and clipping: what is done to gradients and weights beside the rule. Pure.

Penalties act on weights only, the parameters with two axes or more (`is_weight`), in the notes'
parameterisation with n training rows:

    L2:  C = L + lambda / (2 n) * sum(w^2)        gradient lambda / n * w           (row REG-01)
    L1:  C = L + lambda / (2 n) * sum(|w|)        gradient lambda / (2 n) * sign(w) (row REG-04)

Others write the same penalties with other constants (erratum E16, rows REG-02 and REG-03):

    Keras ``l2(c)`` adds c * sum(w^2), ``l1(c)`` adds c * sum(|w|):   c = lambda / (2 n)
    torch ``weight_decay=wd`` adds wd * w to the gradient:            wd = lambda / n (L2)
    decay ``w = (1 - lr * decay) * w`` beside the step:               decay = lambda / n (L2)

The last equals the L2 penalty for plain gradient descent only. With momentum the penalty enters the
velocity, and with Adam it is divided by the root: decoupled decay is then another method
(Loshchilov and Hutter, 2019, which is AdamW).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optlab.config import validate
from optlab.types import NonNegative, Positive

Number = float | Tensor


@dataclass(frozen=True)
class Regularizer:
    """Which of the functions below a training applies, and how strongly; 0 or None is off.

    Attributes:
        l1: The notes' lambda of the L1 penalty.
        l2: The notes' lambda of the L2 penalty.
        decay: Decoupled decay per unit of learning rate.
        clip_norm: Largest norm of all gradients together.
        clip_value: Largest absolute value of any element of a gradient.
    """

    l1: NonNegative = 0.0
    l2: NonNegative = 0.0
    decay: NonNegative = 0.0
    clip_norm: Positive | None = None
    clip_value: Positive | None = None

    def __post_init__(self) -> None:
        validate(self, "regularizer")


def is_weight(param: Tensor) -> bool:
    """Return whether penalties act on a parameter: not on biases, scales and shifts."""
    return param.ndim >= 2


def l1_penalty(params: Iterable[Tensor], lam: Number, num_rows: Number) -> Tensor:
    """Return ``lam / (2 num_rows) * sum |w|`` over the weights; course notes, row REG-04."""
    total = sum((p.abs().sum() for p in params if is_weight(p)), torch.zeros(()))
    return lam / (2 * num_rows) * total


def l2_penalty(params: Iterable[Tensor], lam: Number, num_rows: Number) -> Tensor:
    """Return ``lam / (2 num_rows) * sum w^2`` over the weights; course notes, row REG-01."""
    total = sum(((p * p).sum() for p in params if is_weight(p)), torch.zeros(()))
    return lam / (2 * num_rows) * total


def penalty_gradient(param: Tensor, l1: Number, l2: Number, num_rows: Number) -> Tensor:
    """Return the gradient of both penalties at a weight; that of |w| is taken as 0 at w = 0.

    The caller decides what is a weight (`is_weight`): weights may come here laid end to end.
    """
    return l1 / (2 * num_rows) * param.sign() + l2 / num_rows * param


def decay_step(param: Tensor, lr: Number, decay: Number) -> Tensor:
    """Return ``(1 - lr * decay) * param``; course notes, row REG-02, with decay = lambda / n."""
    return (1 - lr * decay) * param


def clip_by_norm(grads: Sequence[Tensor], limit: Number) -> list[Tensor]:
    """Return gradients scaled together so that their joint norm is at most ``limit``.

    Equal to `torch.nn.utils.clip_grad_norm_`, which writes in place, up to its 1e-6 in the divisor.

    Source: Pascanu, Mikolov and Bengio (2013), Algorithm 1; course notes, row GRD-08.
    """
    if not grads:
        return []
    norms = torch.stack([torch.linalg.vector_norm(grad) for grad in grads])
    norm = torch.linalg.vector_norm(norms)
    scale = (limit / (norm + 1e-6)).clamp(max=1.0).to(norm.dtype)
    return [grad * scale for grad in grads]


def clip_by_value(grads: Sequence[Tensor], limit: Number) -> list[Tensor]:
    """Return gradients with every element brought into [-limit, limit].

    Equal to `torch.nn.utils.clip_grad_value_`; course notes, row GRD-08.
    """
    if not isinstance(limit, Tensor):
        return [grad.clamp(-limit, limit) for grad in grads]
    # Under torch.vmap a float64 limit would make the gradients float64 too.
    limits = [limit.to(grad.dtype) for grad in grads]
    return [grad.clamp(-most, most) for grad, most in zip(grads, limits, strict=True)]
