"""SOAP: Adam in the basis in which Shampoo's preconditioner is diagonal.

For a weight matrix G, in step t (t - 1 of them are Adam's, see below):

    P = QL^T G QR                                  the gradient in the basis
    m = beta1 * m + (1 - beta1) * P
    v = beta2 * v + (1 - beta2) * P * P
    N = m / (1 - beta1^(t-1)) * sqrt(1 - beta2^(t-1)) / (sqrt(v) + eps)
    w = w - lr * QL N QR^T
    w = (1 - lr * weight_decay) * w
    L = shampoo_beta * L + (1 - shampoo_beta) * G G^T
    R = shampoo_beta * R + (1 - shampoo_beta) * G^T G

and where t - 1 is a multiple of ``precondition_frequency``, QL and QR make one step towards the
eigenvectors of L and R (`optlab.optim.orthogonal.power_step`): m is turned into the new basis, v
only sorted with it. A tensor with more axes has one basis per axis, kernels of convolutions too.

The **first step** moves nothing and does not decay: it takes L and R from the gradient, and QL and
QR from them (`optlab.optim.orthogonal.eigenbasis`), so that no gradient is ever measured in a basis
that it has set itself.

Parameters with fewer than two axes are not rotated, nor are axes longer than ``max_precond_dim``:
there SOAP is Adam with decoupled decay, one step late. (An axis of length one needs no rotation.)

If the gradients so far span less than a side, as those of a layer with few outputs do at first, the
rest of the basis is LAPACK's choice, and Adam's step depends on it: machines that round differently
then walk different, equally good paths.

Cost of a side n: 2 n^2 numbers of state; products of order n^2 times the other sides per step; a QR
of order n^3 every ``precondition_frequency`` steps. That is left out in the other steps only if the
counter is a Python number: with tensors (a stack of runs under ``torch.vmap``) every step pays for
an ``eigh`` and a QR. An ``eigh`` makes the host wait for a GPU.

Symbols: eta -> ``lr``; b1, b2 -> ``beta1``, ``beta2`` (``betas``); f -> ``precondition_frequency``;
L, R -> ``gram_0``, ``gram_1``; QL, QR -> ``basis_0``, ``basis_1``; m -> ``exp_avg``, in the basis;
v -> ``exp_avg_sq``; t -> ``step``.

State: ``step``, 0-d float32; ``exp_avg`` and ``exp_avg_sq``, shaped like the parameter, zero at
first; per rotated axis of length n ``gram_AXIS``, zero, and ``basis_AXIS``, the identity, of shape
(n, n).

Source: Vyas, Morwani, Zhao, Kwun, Shapira, Brandfonbrener, Janson and Kakade (2024), SOAP:
Improving and Stabilizing Shampoo using Adam (arXiv 2409.11321), Algorithms 3 and 4.

Differs from the authors' code (nikhilvyas/SOAP), whose paths and defaults these are: bases have the
parameter's dtype (there float32 at most); ``merge_dims``, ``precondition_1d``, ``normalize_grads``
and ``correct_bias`` are left out at their defaults; ``shampoo_beta`` has a value of its own (there
-1, for beta2); ``step`` counts the first step, too. torch has no SOAP.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from optlab.optim.math import bias_correction, either, ema, zero_step
from optlab.optim.orthogonal import eigenbasis, gram_of_axis, power_step, rotate
from optlab.optim.regularizers import decay_step
from optlab.optim.rule import Hyper, NewState, Rule, State
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.registry import optimizers
from optlab.types import Count, Decay, Natural, NonNegative

Bases = dict[int, Tensor]


@dataclass(frozen=True)
class SOAPHyper(Hyper):
    """Hyperparameters of SOAP; the defaults are those of the authors' code.

    Attributes:
        lr: Step length in the basis.
        beta1: Decay of the mean of gradients.
        beta2: Decay of the mean of squared gradients in the basis.
        shampoo_beta: Decay of the means of products of gradients, whose eigenvectors are the basis.
        eps: Keeps the divisor from zero; added to the root before the bias correction.
        weight_decay: Decay of the parameters per unit of lr, after the step.
        precondition_frequency: Adam's steps from one turn of the basis to the next, at least 1.
        max_precond_dim: Longest axis that has a basis; 0 for none.
    """

    PACKED: ClassVar[Mapping[str, tuple[str, ...]]] = {"betas": ("beta1", "beta2")}

    lr: NonNegative = 3e-3
    beta1: Decay = 0.95
    beta2: Decay = 0.95
    shampoo_beta: Decay = 0.95
    eps: NonNegative = 1e-8
    weight_decay: NonNegative = 0.01
    precondition_frequency: Count = 10
    max_precond_dim: Natural = 10_000


def init_state(param: Tensor, hyper: SOAPHyper) -> NewState:
    """Return step 0, averages of zero, and for every rotated axis an identity basis."""
    state = {"step": zero_step()}
    state |= {name: torch.zeros_like(param) for name in ("exp_avg", "exp_avg_sq")}
    for axis in rotated_axes(param, hyper):
        state[f"gram_{axis}"] = param.new_zeros(param.shape[axis], param.shape[axis])
        state[f"basis_{axis}"] = torch.eye(
            param.shape[axis], dtype=param.dtype, device=param.device
        )
    return state


def rotated_axes(param: Tensor, hyper: SOAPHyper) -> list[int]:
    """Return the axes of a parameter that have a basis."""
    sides = enumerate(param.shape if param.ndim >= 2 else ())
    return [axis for axis, side in sides if 1 < side <= hyper.max_precond_dim]


def update(grad: Tensor, param: Tensor, state: State, hyper: SOAPHyper) -> tuple[Tensor, NewState]:
    """Return the parameter and the state after one step; the first only sets up the basis."""
    axes, t = rotated_axes(param, hyper), state["step"] + 1
    grams = {
        axis: ema(state[f"gram_{axis}"], gram_of_axis(grad, axis), hyper.shampoo_beta)
        for axis in axes
    }

    def first() -> tuple[Tensor, ...]:
        bases = [eigenbasis(gram) for gram in grams.values()]
        return param.clone(), state["exp_avg"].clone(), state["exp_avg_sq"].clone(), *bases

    def later() -> tuple[Tensor, ...]:
        bases = {axis: state[f"basis_{axis}"] for axis in axes}
        new, m, v = adam_in_basis(grad, param, state, bases, hyper)
        due = (t - 1) % hyper.precondition_frequency == 0
        return new, *either(due, lambda: turned(m, v, bases, grams), lambda: kept(m, v, bases))

    new, m, v, *bases = either(t == 1, first, later)
    names = [f"basis_{axis}" for axis in axes]
    return new, {
        "step": t,
        "exp_avg": m,
        "exp_avg_sq": v,
        **{f"gram_{axis}": gram for axis, gram in grams.items()},
        **dict(zip(names, bases, strict=True)),
    }


def adam_in_basis(
    grad: Tensor, param: Tensor, state: State, bases: Bases, hyper: SOAPHyper
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the parameter after Adam's step and the decay, and both averages in the basis."""
    g, count = rotate(grad, bases), state["step"]
    m = ema(state["exp_avg"], g, hyper.beta1)
    v = ema(state["exp_avg_sq"], g * g, hyper.beta2)
    rate: Any = hyper.lr * bias_correction(hyper.beta2, count) ** 0.5
    step = rate / bias_correction(hyper.beta1, count) * (m / (v.sqrt() + hyper.eps))
    point = param - rotate(step, bases, back=True)
    return decay_step(point, hyper.lr, hyper.weight_decay), m, v


def turned(m: Tensor, v: Tensor, bases: Bases, grams: Bases) -> tuple[Tensor, ...]:
    """Return both averages and the bases after one step towards the eigenvectors of the grams."""
    new = {}
    for axis, gram in grams.items():
        new[axis], order = power_step(gram, bases[axis])
        v = v.index_select(axis, order)
    return rotate(rotate(m, bases, back=True), new), v.clone(), *new.values()


def kept(m: Tensor, v: Tensor, bases: Bases) -> tuple[Tensor, ...]:
    """Return both averages and copies of the bases."""
    return m, v, *(basis.clone() for basis in bases.values())


@optimizers.register("soap")
class SOAP(RuleOptimizer):
    """SOAP (Vyas et al., 2024): Adam in the eigenbasis of Shampoo's preconditioner.

    The first step only measures; parameters move from the second on. The equations and their source
    are in `optlab.optim.rules.soap`.
    """

    #: The first step, which moves nothing, whatever the scale of the gradient.
    plain_steps: ClassVar = 1
    needs_full_rank: ClassVar = (
        "directions without any gradient so far have no order; LAPACK chooses"
    )
    rule = Rule(SOAPHyper, init_state, update, elementwise=False)
