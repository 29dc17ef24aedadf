"""NAdamW: AdamW that looks ahead by mixing this gradient into its mean a second time.

    t = t + 1
    w = (1 - lr * weight_decay) * w
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    m_hat = (beta1 * m + (1 - beta1) * g) / (1 - beta1^t)
    v_hat = v / (1 - beta2^t)
    w = w - lr * m_hat / (sqrt(v_hat) + eps)

Only m_hat differs from AdamW: it is the mean that would follow if the same gradient came again,
which is Nesterov's look-ahead at a constant momentum. m itself is kept without the second mix. The
divisor is the sum of Adam's weights, not of this mean's, so early steps are longer than lr: the
first is ``(1 + beta1) * lr``.

Symbols: alpha -> ``lr``; b1, b2 -> ``beta1``, ``beta2`` (``betas``); lambda -> ``weight_decay``;
m -> ``exp_avg``; v -> ``exp_avg_sq``; t -> ``step``.

State: ``step``, 0-d float32; ``exp_avg`` and ``exp_avg_sq``, shaped like the parameter, zero at
first.

Source: Choi et al. (2019), On Empirical Comparisons of Optimizers for Deep Learning, Table 1 (their
NAdam: a constant momentum and this look-ahead), with the decoupled decay of Loshchilov and Hutter
(2019); the form and defaults of the NAdamW baselines of AlgoPerf and timm.

Differs from torch: ``torch.optim.NAdam(decoupled_weight_decay=True)`` has a momentum that rises and
another correction: `optlab.optim.rules.nadam`. optax's ``nadamw`` divides m by
``1 - beta1^(t + 1)`` and g by ``1 - beta1^t``, so that its first step is shorter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab.optim.math import bias_correction, ema, root, zero_step
from optlab.optim.regularizers import decay_step
from optlab.optim.rule import Hyper, NewState, Rule, State
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.registry import optimizers
from optlab.types import Decay, NonNegative


@dataclass(frozen=True)
class NAdamWHyper(Hyper):
    """Hyperparameters of NAdamW; the defaults are AlgoPerf's and timm's.

    Attributes:
        lr: Step length.
        beta1: Decay of the mean of gradients, and share of it in the look-ahead.
        beta2: Decay of the mean of squared gradients.
        eps: Keeps the divisor from zero.
        weight_decay: Decay of the parameters per unit of lr.
    """

    PACKED: ClassVar[Mapping[str, tuple[str, ...]]] = {"betas": ("beta1", "beta2")}

    lr: NonNegative = 1e-3
    beta1: Decay = 0.9
    beta2: Decay = 0.999
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 1e-2


def init_state(param: Tensor, hyper: NAdamWHyper) -> NewState:
    """Return step 0 and two averages of zero."""
    mean, square = torch.zeros_like(param), torch.zeros_like(param)
    return {"step": zero_step(), "exp_avg": mean, "exp_avg_sq": square}


def update(
    grad: Tensor, param: Tensor, state: State, hyper: NAdamWHyper
) -> tuple[Tensor, NewState]:
    """Return the parameter, the step and both averages after one step."""
    t = state["step"] + 1
    point = decay_step(param, hyper.lr, hyper.weight_decay)
    m = ema(state["exp_avg"], grad, hyper.beta1)
    v = ema(state["exp_avg_sq"], grad * grad, hyper.beta2)
    lr = hyper.lr / bias_correction(hyper.beta1, t)
    denominator = root(v, hyper.eps, "outside", bias_correction(hyper.beta2, t))
    new = {"step": t, "exp_avg": m, "exp_avg_sq": v}
    return point - lr * ema(m, grad, hyper.beta1) / denominator, new


@optimizers.register("nadamw")
class NAdamW(RuleOptimizer):
    """NAdamW (Choi et al., 2019; AlgoPerf): AdamW with Nesterov's look-ahead.

    The equations and their source are in `optlab.optim.rules.nadamw`.
    """

    rule = Rule(NAdamWHyper, init_state, update)
