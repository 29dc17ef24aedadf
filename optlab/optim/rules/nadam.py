"""NAdam: Adam that looks ahead as Nesterov does, with a momentum that grows over time.

    t = t + 1
    mu_t = beta1 * (1 - 0.5 * 0.96^(t * momentum_decay))
    P_t = P_(t-1) * mu_t
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    v_hat = v / (1 - beta2^t)
    m_hat = (1 - mu_t) / (1 - P_t) * g + mu_(t+1) / (1 - P_t * mu_(t+1)) * m
    w = w - lr * m_hat / (sqrt(v_hat) + eps)

Nesterov's momentum adds the velocity of the *next* step; m_hat therefore weighs m by the next
momentum mu_(t+1) and this gradient by its own share. The momentum begins near beta1 / 2 and rises
to beta1: half of the way takes 4245 steps at the default decay.

Symbols: alpha, eta -> ``lr``; b1, b2 -> ``beta1``, ``beta2`` (torch: ``betas``); psi ->
``momentum_decay``; m, n or v -> ``exp_avg``, ``exp_avg_sq``; P -> ``mu_product``; t -> ``step``.

State: ``step``, 0-d float32; ``mu_product``, 0-d float64, first 1; ``exp_avg`` and ``exp_avg_sq``,
shaped like the parameter, zero at first.

Source: Dozat (2016), Incorporating Nesterov Momentum into Adam, Algorithm 2 and the schedule of
section 3.2 (0.96^(t / 250)), in torch's form: m decays by beta1, the paper's by mu_t.

Differs from torch: equal to ``torch.optim.NAdam``, but that ``mu_product`` is kept in float64
(torch: float32, so paths agree to about 1e-7). Keras has ``0.96^t`` and lr 1e-3. The form with a
constant momentum is `optlab.optim.rules.nadamw`.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from optlab.optim.math import as_float64, bias_correction, ema, root, scalar, zero_step
from optlab.optim.rule import Hyper, NewState, Rule, State
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.registry import optimizers
from optlab.types import Decay, NonNegative


@dataclass(frozen=True)
class NAdamHyper(Hyper):
    """Hyperparameters of NAdam; the defaults are torch's.

    Attributes:
        lr: Step length.
        beta1: Decay of the mean of gradients, and the limit of the momentum.
        beta2: Decay of the mean of squared gradients.
        eps: Keeps the divisor from zero.
        momentum_decay: Speed at which the momentum rises to beta1; 0 keeps it at beta1 / 2.
    """

    PACKED: ClassVar[Mapping[str, tuple[str, ...]]] = {"betas": ("beta1", "beta2")}

    lr: NonNegative = 2e-3
    beta1: Decay = 0.9
    beta2: Decay = 0.999
    eps: NonNegative = 1e-8
    _: KW_ONLY
    momentum_decay: NonNegative = 4e-3


def init_state(param: Tensor, hyper: NAdamHyper) -> NewState:
    """Return step 0, an empty product and two averages of zero."""
    mean, square = torch.zeros_like(param), torch.zeros_like(param)
    numbers = {"step": zero_step(), "mu_product": scalar(1.0)}
    return {**numbers, "exp_avg": mean, "exp_avg_sq": square}


def momentum_at(t: Any, hyper: NAdamHyper) -> Any:
    """Return mu_t, a number or a 0-d tensor."""
    return hyper.beta1 * (1 - 0.5 * 0.96 ** (as_float64(t) * hyper.momentum_decay))


def update(grad: Tensor, param: Tensor, state: State, hyper: NAdamHyper) -> tuple[Tensor, NewState]:
    """Return the parameter, the step, the product and both averages after one step."""
    t = state["step"] + 1
    mu, mu_next = momentum_at(t, hyper), momentum_at(t + 1, hyper)
    product = state["mu_product"] * mu
    m = ema(state["exp_avg"], grad, hyper.beta1)
    v = ema(state["exp_avg_sq"], grad * grad, hyper.beta2)
    m_hat = (1 - mu) / (1 - product) * grad + mu_next / (1 - product * mu_next) * m
    denominator = root(v, hyper.eps, "outside", bias_correction(hyper.beta2, t))
    new = {"step": t, "mu_product": product, "exp_avg": m, "exp_avg_sq": v}
    return param - hyper.lr * m_hat / denominator, new


@optimizers.register("nadam")
class NAdam(RuleOptimizer):
    """NAdam (Dozat, 2016): Adam with Nesterov's look-ahead and a momentum that rises.

    The equations and their source are in `optlab.optim.rules.nadam`.
    """

    rule = Rule(NAdamHyper, init_state, update, scalars=("step", "mu_product"))
    torch_class = torch.optim.NAdam
