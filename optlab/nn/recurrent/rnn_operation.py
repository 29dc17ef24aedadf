"""One direction of one layer of simple recurrent units, and its gradients through time, by hand.

    z(t) = W_ih x(t) + b_ih + W_hh h(t-1) + b_hh          h(t) = f(z(t)),  f = tanh, relu, identity

The input's share of z is one matrix product for all steps; only the recurrent share waits for the
step before. Backwards, the loop finds dL/dz(t) alone, and the gradient of each weight is one
product over all steps and rows.

Shapes: runs R, time T, batch B, inputs I, units H.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from optlab.nn.operation import Operation
from optlab.nn.recurrent import rnn_native
from optlab.nn.recurrent.checks import check_operands

Nonlinearity = Literal["tanh", "relu", "identity"]


def _forward(
    x: Tensor,
    initial: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    lengths: Tensor | None,
    nonlinearity: str,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    weights = (weight_ih, weight_hh, bias_ih, bias_hh)
    check_operands(x, {"initial": initial}, *weights, lengths)
    rest = (lengths, nonlinearity, reverse)
    states = _run(rnn_native.forward, _eager_forward, (x, initial, *weights), *rest)
    return states, states[:, 0 if reverse else -1].clone(memory_format=torch.contiguous_format)


def _backward(
    grad_states: Tensor | None,
    grad_last: Tensor | None,
    x: Tensor,
    initial: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    lengths: Tensor | None,
    states: Tensor,
    nonlinearity: str,
    reverse: bool,
    needed: list[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    floats = (grad_states, grad_last, x, initial, weight_ih, weight_hh)
    wanted = [*needed[:4], needed[4] or needed[5]]
    rest = (lengths, states, nonlinearity, reverse, wanted)
    found = _run(rnn_native.backward, _eager_backward, floats, *rest)
    bias = found.pop()
    biases = [bias if needed[4] else None, bias.clone() if needed[5] and bias is not None else None]
    dx, dh, dw_ih, dw_hh, db_ih, db_hh = (
        states.new_empty(0) if grad is None else grad for grad in (*found, *biases)
    )
    return dx, dh, dw_ih, dw_hh, db_ih, db_hh, states.new_empty(0)


def _run(
    native: Callable[..., Any], eager: Callable[..., Any], floats: Sequence[Any], *rest: Any
) -> Any:
    """Call the kernel that can take these tensors; autocasting would lower its precision."""
    if rnn_native.serves(*floats):
        return native(*floats, *rest)
    with torch.autocast(next(t for t in floats if t is not None).device.type, enabled=False):
        return eager(*floats, *rest)


def _eager_forward(
    x: Tensor,
    initial: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    lengths: Tensor | None,
    nonlinearity: str,
    reverse: bool,
) -> Tensor:
    """Return the states after every step, (R, T, B, H)."""
    states = _input_share(x, weight_ih, bias_ih, bias_hh)
    recurrent, activate_ = weight_hh.transpose(1, 2), _ACTIVATE[nonlinearity]
    state = initial
    for t in _steps(x.shape[1], reverse):
        new = states[:, t]
        activate_(new.baddbmm_(state, recurrent))
        if lengths is not None:
            new.copy_(torch.where(_goes_on(lengths, t), new, state))
        state = new
    return states


def _eager_backward(
    grad_states: Tensor | None,
    grad_last: Tensor | None,
    x: Tensor,
    initial: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    lengths: Tensor | None,
    states: Tensor,
    nonlinearity: str,
    reverse: bool,
    needed: list[bool],
) -> list[Tensor | None]:
    """Return the gradients of x, initial state, weights and a bias, or None if not ``needed``."""
    grad_z, slope = torch.empty_like(states), _SLOPE[nonlinearity]
    grad = torch.zeros_like(initial) if grad_last is None else grad_last
    for t in reversed(_steps(x.shape[1], reverse)):
        grad = grad if grad_states is None else grad + grad_states[:, t]
        now = grad_z[:, t]
        torch.mul(grad, slope(states[:, t]), out=now)
        if lengths is None:
            grad = torch.bmm(now, weight_hh)
        else:
            goes_on = _goes_on(lengths, t)
            now.mul_(goes_on)
            grad = torch.where(goes_on, torch.bmm(now, weight_hh), grad)
    flat = grad_z.flatten(1, 2)
    return [
        torch.bmm(flat, weight_ih).view_as(x) if needed[0] else None,
        grad if needed[1] else None,
        _summed_outer(flat, x.flatten(1, 2)) if needed[2] else None,
        _recurrent_gradient(grad_z, initial, states, reverse) if needed[3] else None,
        flat.sum(1) if needed[4] else None,
    ]


def _recurrent_gradient(grad_z: Tensor, initial: Tensor, states: Tensor, reverse: bool) -> Tensor:
    """Return dL/dW_hh: the initial state stands before the first step, states before the others."""
    first, later, before = grad_z[:, 0], grad_z[:, 1:], states[:, :-1]
    if reverse:
        first, later, before = grad_z[:, -1], grad_z[:, :-1], states[:, 1:]
    total = _summed_outer(first, initial)
    return total.add_(_summed_outer(later.flatten(1, 2), before.flatten(1, 2)))


def _shapes(
    x: Tensor,
    initial: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    lengths: Tensor | None,
    nonlinearity: str,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    weights = (weight_ih, weight_hh, bias_ih, bias_hh)
    check_operands(x, {"initial": initial}, *weights, lengths)
    return x.new_empty(*x.shape[:3], weight_hh.shape[-1]), x.new_empty(initial.shape)


def _reference(
    x: Tensor,
    initial: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    lengths: Tensor | None,
    nonlinearity: str,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    share, recurrent = _input_share(x, weight_ih, bias_ih, bias_hh), weight_hh.transpose(1, 2)
    states, state = {}, initial
    for t in _steps(x.shape[1], reverse):
        new = _APPLY[nonlinearity](share[:, t] + torch.bmm(state, recurrent))
        state = new if lengths is None else torch.where(_goes_on(lengths, t), new, state)
        states[t] = state
    return torch.stack([states[t] for t in sorted(states)], 1), state


def _input_share(
    x: Tensor, weight: Tensor, bias_ih: Tensor | None, bias_hh: Tensor | None
) -> Tensor:
    """Return W_ih x(t) + b_ih + b_hh for all steps, (R, T, B, H)."""
    rows, recipe = x.flatten(1, 2), weight.transpose(1, 2)
    bias = bias_hh if bias_ih is None else bias_ih if bias_hh is None else bias_ih + bias_hh
    if bias is None:
        share = torch.bmm(rows, recipe)
    else:
        share = torch.baddbmm(bias.unsqueeze(1), rows, recipe)
    return share.view(*x.shape[:3], weight.shape[1])


def _summed_outer(left: Tensor, right: Tensor) -> Tensor:
    """Return the sum of left_n right_n' over rows n, (R, H, I), of (R, N, H) and (R, N, I).

    The narrower one comes first in the product: libraries are up to ten times faster at that.
    """
    if right.shape[-1] < left.shape[-1]:
        return torch.bmm(right.transpose(1, 2), left).transpose(1, 2).contiguous()
    return torch.bmm(left.transpose(1, 2), right)


def _steps(count: int, reverse: bool) -> range:
    """Return the time steps in the order in which they are computed."""
    return range(count - 1, -1, -1) if reverse else range(count)


def _goes_on(lengths: Tensor, t: int) -> Tensor:
    """Return which sequences have a step t, (R, B, 1); the others keep their state."""
    return (lengths > t).unsqueeze(2)


_APPLY: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "identity": lambda z: z,
}
_ACTIVATE: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh_,
    "relu": torch.relu_,
    "identity": lambda z: z,
}
#: f'(z) as a function of h = f(z).
_SLOPE: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": lambda h: 1 - h * h,
    "relu": lambda h: h > 0,
    "identity": torch.ones_like,
}

#: (x (R, T, B, I), initial (R, B, H), weight_ih (R, H, I), weight_hh (R, H, H), bias_ih and bias_hh
#: (R, H) or None, lengths (R, B) or None, nonlinearity, reverse) -> (states (R, T, B, H), last
#: state (R, B, H)). A sequence keeps its state where it has no step.
recur = Operation(
    "rnn", _forward, _backward, _shapes, _reference, num_tensors=7, num_outputs=2, unread=(1,)
)
