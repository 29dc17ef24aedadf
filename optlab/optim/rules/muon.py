"""Muon: momentum whose matrix is replaced by the nearest one that treats all directions alike.

For weights with two axes or more, taken as a matrix of shape (out, rest):

    B = momentum * B + (1 - momentum) * g
    u = momentum * B + (1 - momentum) * g      nesterov=False: u = B
    O = about U V^T, where u = U S V^T         (`optlab.optim.orthogonal.newton_schulz`)
    w = (1 - lr * weight_decay) * w
    w = w - lr * scale * O

A gradient has a few large singular values; O has them all near one, so that rare directions are
learned as fast as frequent ones. ``scale`` (``adjust_lr_fn``) makes up for the shape:

    original            sqrt(max(1, out / rest))        tall matrices reach as far as wide ones
    match_rms_adamw     0.2 * sqrt(max(out, rest))      elements move about as far as AdamW's

The kernel of a convolution, (out, in, height, width), is flattened to (out, in * height * width),
also for the scale: 64 kernels of 3 x 3 x 3 have sqrt(64 / 27), not sqrt(64 / 3).

Everything else (biases, norms), and matrices in a group with ``orthogonalize=False``, which the
authors advise for embeddings and the last layer, follows `optlab.optim.rules.adamw`:

    w = AdamW's step with lr * adamw_lr_ratio, adamw_betas, eps and weight_decay

A schedule of lr moves both parts. A ratio of 1 is right beside ``match_rms_adamw`` (Liu et al.);
beside ``original`` Jordan took 3e-4 and 0.02, a ratio of 0.015. In a network of 64-64-64-10 on
digits ``original`` wants lr 0.01 to 0.03, not torch's default; at 0.01 ratios from 0.015 to 1 end
within a point of accuracy, at 0.03 the ratio 0.015 ends two points ahead of 1.

``ns_dtype`` is the arithmetic of the iteration. bfloat16, torch's only one, is off by 1e-2
(relative, Frobenius norm), float32 by 1e-6 to 1e-5. It is for processors that multiply it natively.
Five iterations on one core, bfloat16 and float32, in ms:

    with AVX512-BF16      32 x 64: 0.23, 0.05    256 x 256: 1.3, 4.5    1024 x 1024: 65, 285
    with AVX2 only        32 x 64: 0.38, 0.05    256 x 256: 136, 4.6    1024 x 1024: 17100, 282

Symbols: mu -> ``momentum``; eta -> ``lr``; lambda -> ``weight_decay``; B -> ``momentum_buffer``;
a, b, c -> ``ns_a``, ``ns_b``, ``ns_c`` (``ns_coefficients``).

State: ``momentum_buffer``, shaped like the parameter, zero at first; of the other parameters what
Adam keeps.

Source: Jordan et al. (2024), Muon: an optimizer for hidden layers in neural networks
(kellerjordan.github.io/posts/muon); decay and ``match_rms_adamw``: Liu et al. (2025), Muon is
Scalable for LLM Training (arXiv 2502.16982).

Differs from torch: on matrices equal to ``torch.optim.Muon`` with ``ns_dtype="bfloat16"``; torch
refuses all other parameters, so state dicts are not exchanged. Jordan's code adds eps to the norm,
has lr 0.02 and no decay; the buffer in his first posts was a sum, not a mean, which the iteration's
normalization makes the same but for eps. ``eps`` is AdamW's too, whose own default elsewhere is
1e-8.
"""

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from optlab.optim.math import ema
from optlab.optim.orthogonal import newton_schulz
from optlab.optim.regularizers import decay_step
from optlab.optim.rule import Hyper, NewState, Rule, State
from optlab.optim.rules import adam, adamw
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.registry import optimizers
from optlab.types import Decay, NonNegative, Range, Real

AdjustLr = Literal["original", "match_rms_adamw"]
_ADAMW = adamw.AdamWHyper()


@dataclass(frozen=True)
class MuonHyper(Hyper):
    """Hyperparameters of Muon; the defaults are torch's, of the AdamW part the authors'.

    Attributes:
        lr: Length of a step: the change's largest singular value, but for the scale.
        weight_decay: Decay of the parameters per unit of the rate, in both parts.
        momentum: Decay of the mean of gradients.
        nesterov: Mix the gradient into the mean once more before it is orthogonalized.
        ns_a: Linear coefficient of the iteration's polynomial.
        ns_b: Cubic coefficient.
        ns_c: Quintic coefficient.
        eps: Keeps divisors from zero: the norm before the iteration, and AdamW's root.
        ns_steps: Iterations, at least 1.
        adjust_lr_fn: Scale of a matrix's step by its sides: ``original`` or ``match_rms_adamw``.
        ns_dtype: Arithmetic of the iteration: the parameter's own (float32 for halves), or
            bfloat16.
        orthogonalize: False sends a group's matrices to AdamW, too.
        adamw_lr_ratio: Learning rate of the AdamW part, in units of lr.
        adamw_beta1: Decay of AdamW's mean of gradients.
        adamw_beta2: Decay of AdamW's mean of squared gradients.
    """

    PACKED: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "ns_coefficients": ("ns_a", "ns_b", "ns_c"),
        "adamw_betas": ("adamw_beta1", "adamw_beta2"),
    }

    lr: NonNegative = 1e-3
    weight_decay: NonNegative = 0.1
    momentum: Decay = 0.95
    nesterov: bool = True
    ns_a: Real = 3.4445
    ns_b: Real = -4.7750
    ns_c: Real = 2.0315
    eps: NonNegative = 1e-7
    ns_steps: Annotated[int, Range(low=1, high=99)] = 5  # torch refuses 100
    adjust_lr_fn: AdjustLr = "original"
    _: KW_ONLY
    ns_dtype: Literal["parameter", "bfloat16"] = "parameter"
    orthogonalize: bool = True
    adamw_lr_ratio: NonNegative = 1.0
    adamw_beta1: Decay = 0.9
    adamw_beta2: Decay = 0.95


def init_state(param: Tensor, hyper: MuonHyper) -> NewState:
    """Return a mean of zero, or AdamW's state."""
    if _is_matrix(param, hyper):
        return {"momentum_buffer": torch.zeros_like(param)}
    return adam.init_state(param, _ADAMW)


def update(grad: Tensor, param: Tensor, state: State, hyper: MuonHyper) -> tuple[Tensor, NewState]:
    """Return the parameter and the mean, or AdamW's state, after one step."""
    if not _is_matrix(param, hyper):
        return adamw.update(grad, param, state, _adamw_part(hyper))
    mean = ema(state["momentum_buffer"], grad, hyper.momentum)
    direction = ema(mean, grad, hyper.momentum) if hyper.nesterov else mean
    rows, columns = direction.flatten(1).shape
    scale = lr_scale(rows, columns, hyper.adjust_lr_fn)
    point = decay_step(param, hyper.lr, hyper.weight_decay)
    return point - hyper.lr * scale * orthogonal(direction, hyper), {"momentum_buffer": mean}


def orthogonal(direction: Tensor, hyper: MuonHyper) -> Tensor:
    """Return the orthogonal factor of a direction of two axes or more, in its shape and dtype."""
    dtype = torch.bfloat16 if hyper.ns_dtype == "bfloat16" else direction.dtype
    # In one layout: products of other strides add up in another order.
    matrix = direction.flatten(1).to(dtype).contiguous()
    coefficients = (hyper.ns_a, hyper.ns_b, hyper.ns_c)
    factor = newton_schulz(matrix, coefficients, hyper.ns_steps, hyper.eps)
    return factor.to(direction.dtype).view_as(direction)


def lr_scale(rows: int, columns: int, form: AdjustLr) -> float:
    """Return the factor of the rate for a matrix of shape (rows, columns)."""
    if form == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    return math.sqrt(max(1, rows / max(columns, 1)))


def _is_matrix(param: Tensor, hyper: MuonHyper) -> bool:
    return hyper.orthogonalize and param.ndim >= 2


def _adamw_part(hyper: MuonHyper) -> adamw.AdamWHyper:
    return _ADAMW.with_values(
        lr=hyper.lr * hyper.adamw_lr_ratio,
        beta1=hyper.adamw_beta1,
        beta2=hyper.adamw_beta2,
        eps=hyper.eps,
        weight_decay=hyper.weight_decay,
    )


@optimizers.register("muon")
class Muon(RuleOptimizer):
    """Muon (Jordan et al., 2024): orthogonalized momentum for matrices, AdamW for the rest.

    Give embeddings and the last layer a group with ``"orthogonalize": False``. The equations and
    their sources are in `optlab.optim.rules.muon`.
    """

    rule = Rule(MuonHyper, init_state, update, elementwise=False)
