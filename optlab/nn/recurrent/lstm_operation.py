"""One direction of an LSTM layer with backpropagation through time written by hand.

Two kernels compute the same: one in C for float32 and float64 on the CPU (lstm_native.py), and one
in PyTorch's operations for every other device and for machines without a compiler (lstm_eager.py).
Half precision is computed in single.

Shapes: runs R, time T, batch B, inputs I, hidden H.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from optlab.nn.operation import Operation
from optlab.nn.operation_autograd import Tensors
from optlab.nn.recurrent.checks import check_operands
from optlab.nn.recurrent.lstm_eager import (
    before,
    eager_backward,
    eager_forward,
    new_outputs,
    order,
)
from optlab.nn.recurrent.lstm_native import is_native, native_backward, native_forward

Kernel = Callable[..., Tensors]
_HALF = (torch.float16, torch.bfloat16)


def _forward(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    lengths: Tensor | None,
    reverse: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    weights = (weight_ih, weight_hh, bias_ih, bias_hh)
    check_operands(x, {"h0": h0, "c0": c0}, *weights, lengths, gates=4)
    given = _widened(x, h0, c0, *weights)
    *results, gates, cells = _run(native_forward, eager_forward, given, lengths, reverse, keep)
    h, h_n, c_n = (result.to(x.dtype) for result in results)
    return h, h_n, c_n, gates, cells


def _backward(
    grad_h: Tensor | None,
    grad_h_n: Tensor | None,
    grad_c_n: Tensor | None,
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    lengths: Tensor | None,
    h: Tensor,
    gates: Tensor,
    cells: Tensor,
    reverse: bool,
    keep: bool,
    needed: list[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    grads = (grad_h, grad_h_n, grad_c_n)
    given = _widened(*grads, x, h0, c0, weight_ih, weight_hh, h, gates, cells)
    found = _run(native_backward, eager_backward, given, lengths, reverse, needed)
    dx, dh0, dc0, dw_ih, dw_hh, db = (gradient.to(x.dtype) for gradient in found)
    db_ih = db if needed[5] else x.new_empty(0)
    db_hh = db.clone() if needed[6] else x.new_empty(0)
    return dx, dh0, dc0, dw_ih, dw_hh, db_ih, db_hh, x.new_empty(0)


def _shapes(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    lengths: Tensor | None,
    reverse: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    weights = (weight_ih, weight_hh, bias_ih, bias_hh)
    check_operands(x, {"h0": h0, "c0": c0}, *weights, lengths, gates=4)
    kept = torch.float32 if x.dtype in _HALF else x.dtype
    return new_outputs(x, weight_hh.shape[2], keep, kept)


def _reference(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    lengths: Tensor | None,
    reverse: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    h, c = h0, c0
    outputs: list[Tensor] = []
    for t in order(x.shape[1], reverse):
        sums = x[:, t] @ weight_ih.mT + h @ weight_hh.mT
        for bias in (bias_ih, bias_hh):
            sums = sums if bias is None else sums + bias.unsqueeze(1)
        i, f, g, o = sums.chunk(4, -1)
        new_c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        new_h = o.sigmoid() * new_c.tanh()
        if lengths is not None:
            running = (t < lengths).unsqueeze(2)
            new_h, new_c = torch.where(running, new_h, h), torch.where(running, new_c, c)
        h, c = new_h, new_c
        outputs.append(h)
    return torch.stack(outputs[::-1] if reverse else outputs, 1), h, c


#: ``(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, lengths, reverse, keep)`` to the outputs
#: (R, T, B, H) and the final h and c, (R, B, H). ``lengths`` (R, B) holds integers or is None:
#: past the end of a sequence its states stay. ``keep=False`` says that no gradient will be asked
#: for, and saves the memory of the gates. Kept are the gates i, f, g, o, (R, T, B, 4H), and c.
lstm_direction = Operation(
    "lstm", _forward, _backward, _shapes, _reference, num_tensors=8, num_outputs=3, unread=(1, 2)
)


def gates_of(
    x: Tensor,
    h0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    reverse: bool,
    h: Tensor,
) -> Tensor:
    """Return the gates i, f, g, o of every step, (R, T, B, 4H), in differentiable operations.

    Args:
        x: As `lstm_direction` takes it; so are the others, but ``h``.
        h0: Initial state.
        weight_ih: Weights of inputs.
        weight_hh: Weights of states.
        bias_ih: First bias.
        bias_hh: Second bias.
        reverse: Direction.
        h: What `lstm_direction` gives for these arguments.
    """
    sums = x @ weight_ih.mT.unsqueeze(1) + before(h, h0, reverse) @ weight_hh.mT.unsqueeze(1)
    for bias in (bias_ih, bias_hh):
        sums = sums if bias is None else sums + bias[:, None, None]
    i, f, g, o = sums.chunk(4, -1)
    return torch.cat([i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()], -1)


def _run(native: Kernel, eager: Kernel, given: Any, *rest: Any) -> Tensors:
    """Call the kernel that can take these tensors; autocasting would lower its precision."""
    if is_native(*given):
        return native(*given, *rest)
    with torch.autocast(next(t for t in given if t is not None).device.type, enabled=False):
        return eager(*given, *rest)


def _widened(*tensors: Tensor | None) -> Any:
    """Return the tensors, half precision turned into single."""
    return tuple(t.float() if t is not None and t.dtype in _HALF else t for t in tensors)
