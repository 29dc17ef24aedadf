"""Adam: a running mean of the gradient over a running root mean square of it.

    t = t + 1
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    m_hat = m / (1 - beta1^t)
    v_hat = v / (1 - beta2^t)
    w = w - lr * m_hat / (sqrt(v_hat) + eps)

Both averages begin at zero; the divisors undo the pull towards it. ``bias_correction=False`` leaves
them out (m_hat = m, v_hat = v), which makes the early steps larger, because v is the more biased of
the two. ``eps_placement="inside"`` divides by ``sqrt(v_hat + eps)``. ``amsgrad=True`` divides by
the largest average so far, so that no coordinate's rate ever rises again:

    u = max(u, v)
    v_hat = u / (1 - beta2^t)

Symbols: alpha -> ``lr``; b1, b2 -> ``beta1``, ``beta2`` (torch: ``betas``); m -> ``exp_avg``;
v -> ``exp_avg_sq``; u (v_hat in the AMSGrad paper) -> ``max_exp_avg_sq``; t -> ``step``.

State: ``step``, 0-d float32; ``exp_avg``, ``exp_avg_sq`` and, with ``amsgrad`` only,
``max_exp_avg_sq``, shaped like the parameter, zero at first.

Source: Kingma and Ba (2015), Algorithm 1; course notes, rows OPT-30 and OPT-31 (their last line
omits m_hat and one divisor is unreadable, erratum E11). AMSGrad: Reddi, Kale and Kumar (2018),
Algorithm 2, which has no eps and, as ``bias_correction=False``, no correction.

Differs from torch: equal to ``torch.optim.Adam``, with and without ``amsgrad``. Keras adds eps to
sqrt(v) before the correction ("epsilon hat" in the paper) and has eps 1e-7. optax corrects before
it takes AMSGrad's maximum, so that a large early gradient is remembered longer. Decoupled decay is
a rule of its own, `optlab.optim.rules.adamw`.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab.optim.math import EpsPlacement, bias_correction, ema, root, zero_step
from optlab.optim.rule import Hyper, NewState, Rule, State
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.registry import optimizers
from optlab.types import Decay, NonNegative


@dataclass(frozen=True)
class AdamHyper(Hyper):
    """Hyperparameters of Adam; the defaults are the paper's and torch's.

    Attributes:
        lr: Step length; the first step moves every element by it (eps aside).
        beta1: Decay of the mean of gradients.
        beta2: Decay of the mean of squared gradients.
        eps: Keeps the divisor from zero.
        eps_placement: Add eps to the root (``outside``) or under it (``inside``).
        bias_correction: Divide both means by the sum of their weights.
        amsgrad: Divide by the largest mean of squares so far, not by the last.
    """

    PACKED: ClassVar[Mapping[str, tuple[str, ...]]] = {"betas": ("beta1", "beta2")}

    lr: NonNegative = 1e-3
    beta1: Decay = 0.9
    beta2: Decay = 0.999
    eps: NonNegative = 1e-8
    _: KW_ONLY
    eps_placement: EpsPlacement = "outside"
    bias_correction: bool = True
    amsgrad: bool = False


def init_state(param: Tensor, hyper: AdamHyper) -> NewState:
    """Return step 0 and averages of zero."""
    names = ["exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if hyper.amsgrad else [])]
    return {"step": zero_step(), **{name: torch.zeros_like(param) for name in names}}


def update(grad: Tensor, param: Tensor, state: State, hyper: AdamHyper) -> tuple[Tensor, NewState]:
    """Return the parameter, the step and the averages after one step."""
    t = state["step"] + 1
    m = ema(state["exp_avg"], grad, hyper.beta1)
    v = ema(state["exp_avg_sq"], grad * grad, hyper.beta2)
    new = {"step": t, "exp_avg": m, "exp_avg_sq": v}
    if hyper.amsgrad:
        v = new["max_exp_avg_sq"] = torch.maximum(state["max_exp_avg_sq"], v)
    lr, correction = hyper.lr, None
    if hyper.bias_correction:
        lr, correction = lr / bias_correction(hyper.beta1, t), bias_correction(hyper.beta2, t)
    denominator = root(v, hyper.eps, hyper.eps_placement, correction)
    return param - lr * m / denominator, new


@optimizers.register("adam")
class Adam(RuleOptimizer):
    """Adam (Kingma and Ba, 2015): the mean of recent gradients over their root mean square.

    The equations and their source are in `optlab.optim.rules.adam`.
    """

    rule = Rule(AdamHyper, init_state, update)
    torch_class = torch.optim.Adam
    torch_form: ClassVar = {"eps_placement": "outside", "bias_correction": True}
