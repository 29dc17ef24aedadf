"""LAMB: Adam's direction, with a step as long as the tensor it moves is large.

    t = t + 1
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    m_hat = m / (1 - beta1^t)
    v_hat = v / (1 - beta2^t)
    u = m_hat / (sqrt(v_hat) + eps) + weight_decay * w
    w = w - lr * ratio * u    with ratio = norm(w) / norm(u)

Every tensor (a layer's weights, its biases) moves by lr times its own Euclidean norm. The ratio,
called trust ratio, is 1 where either norm is 0: such a tensor takes Adam's step.

Symbols: eta -> ``lr``; b1, b2 -> ``beta1``, ``beta2`` (packed as ``betas``); lambda ->
``weight_decay``; r + lambda x -> u; x -> w, ``param``; m -> ``exp_avg``; v -> ``exp_avg_sq``;
t -> ``step``; phi is the identity.

State: ``step``, 0-d float32; ``exp_avg`` and ``exp_avg_sq``, shaped like the parameter, zero at
first.

Source: You et al. (2020), Large Batch Optimization for Deep Learning: Training BERT in 76 minutes
(arXiv 1904.00962), Algorithm 2.

Differs from others, which do not agree: torch has no LAMB. ``bias_correction=False`` (torch-
optimizer, cybertronai) leaves both divisors out. ``always_adapt=False`` (NVIDIA's NvLamb, timm)
keeps the ratio at 1 in parameter groups without decay. Not part of this rule are a global gradient
norm brought to 1 first (apex, timm), a bound on norm(w), 10 in torch-optimizer and
pytorch_optimizer, and one on the ratio (timm's trust_clip). pytorch_optimizer also corrects m but
not v, and adds eps to norm(u).
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from optlab.optim.math import bias_correction, choose, ema, norm, root, zero_step
from optlab.optim.rule import Hyper, NewState, Rule, State
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.registry import optimizers
from optlab.types import Decay, NonNegative


@dataclass(frozen=True)
class LAMBHyper(Hyper):
    """Hyperparameters of LAMB; the numbers are timm's and PaddlePaddle's.

    Attributes:
        lr: Length of a step relative to the norm of the tensor.
        beta1: Decay of the mean of gradients.
        beta2: Decay of the mean of squared gradients.
        eps: Keeps the divisor from zero.
        weight_decay: Decay of the parameters, part of the update whose norm is divided out.
        bias_correction: Divide both means by the sum of their weights.
        always_adapt: Use the trust ratio also where ``weight_decay`` is 0.
    """

    PACKED: ClassVar[Mapping[str, tuple[str, ...]]] = {"betas": ("beta1", "beta2")}

    lr: NonNegative = 1e-3
    beta1: Decay = 0.9
    beta2: Decay = 0.999
    eps: NonNegative = 1e-6
    weight_decay: NonNegative = 0.01
    _: KW_ONLY
    bias_correction: bool = True
    always_adapt: bool = True


def init_state(param: Tensor, hyper: LAMBHyper) -> NewState:
    """Return step 0 and two averages of zero."""
    mean, square = torch.zeros_like(param), torch.zeros_like(param)
    return {"step": zero_step(), "exp_avg": mean, "exp_avg_sq": square}


def update(grad: Tensor, param: Tensor, state: State, hyper: LAMBHyper) -> tuple[Tensor, NewState]:
    """Return the parameter, the step and both averages after one step."""
    t = state["step"] + 1
    m = ema(state["exp_avg"], grad, hyper.beta1)
    v = ema(state["exp_avg_sq"], grad * grad, hyper.beta2)
    m_hat, correction = m, None
    if hyper.bias_correction:
        m_hat, correction = m / bias_correction(hyper.beta1, t), bias_correction(hyper.beta2, t)
    u = m_hat / root(v, hyper.eps, "outside", correction) + hyper.weight_decay * param
    ratio: Any = trust_ratio(param, u)
    if not hyper.always_adapt:
        ratio = choose(hyper.weight_decay > 0, ratio, 1.0)
    return param - hyper.lr * ratio * u, {"step": t, "exp_avg": m, "exp_avg_sq": v}


def trust_ratio(param: Tensor, u: Tensor) -> Tensor:
    """Return ``norm(param) / norm(u)``, 0-d, or 1 where one of the norms is 0."""
    size, length = norm(param), norm(u)
    return torch.where((size > 0) & (length > 0), size / length, 1.0)


@optimizers.register("lamb")
class LAMB(RuleOptimizer):
    """LAMB (You et al., 2020): Adam with steps in proportion to the norm of each tensor.

    The equations and their source are in `optlab.optim.rules.lamb`.
    """

    rule = Rule(LAMBHyper, init_state, update, elementwise=False)
