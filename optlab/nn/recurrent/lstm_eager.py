"""The passes of an LSTM direction in PyTorch's operations, for every device.

The inputs' share of the gates is one product for all steps; the gates are computed in its place;
each weight's gradient is one product over all steps. Shapes: runs R, time T, batch B, inputs I,
hidden H.
"""

import torch
from torch import Tensor

from optlab.nn.operation_autograd import Tensors


def new_outputs(
    x: Tensor, hidden: int, keep: bool, kept: torch.dtype | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return empty results of a forward pass, and what is kept for the backward one.

    h (R, T, B, H), the last h and c (R, B, H); kept: gates (R, T, B, 4H) and c (R, T, B, H), or
    nothing, (R, 0).
    """
    runs, steps, batch, _ = x.shape
    h = x.new_empty(runs, steps, batch, hidden)
    h_n, c_n = x.new_empty(runs, batch, hidden), x.new_empty(runs, batch, hidden)
    if not keep:
        return h, h_n, c_n, x.new_empty(runs, 0, dtype=kept), x.new_empty(runs, 0, dtype=kept)
    gates = x.new_empty(runs, steps, batch, 4 * hidden, dtype=kept)
    return h, h_n, c_n, gates, x.new_empty(runs, steps, batch, hidden, dtype=kept)


def order(steps: int, reverse: bool) -> range:
    """Return the steps of a sequence in the order in which they are taken."""
    return range(steps - 1, -1, -1) if reverse else range(steps)


def eager_forward(
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
    """Compute the forward pass; arguments and results as in `lstm_operation`."""
    hidden, recurrent = weight_hh.shape[2], weight_hh.mT
    outputs, h_n, c_n, gates, cells = new_outputs(x, hidden, keep)
    sums = torch.bmm(x.flatten(1, 2), weight_ih.mT)
    for bias in (bias_ih, bias_hh):
        if bias is not None:
            sums += bias.unsqueeze(1)
    sums = sums.view(*x.shape[:3], 4 * hidden)
    h, c = h0, c0
    for t in order(x.shape[1], reverse):
        now = sums[:, t].baddbmm_(h, recurrent)
        now[..., : 2 * hidden].sigmoid_()
        now[..., 2 * hidden : 3 * hidden].tanh_()
        now[..., 3 * hidden :].sigmoid_()
        i, f, g, o = now.chunk(4, -1)
        new_c = (f * c).addcmul_(i, g)
        new_h = new_c.tanh().mul_(o)
        if lengths is not None:
            running = (t < lengths).unsqueeze(2)
            new_h, new_c = torch.where(running, new_h, h), torch.where(running, new_c, c)
        h, c = new_h, new_c
        outputs[:, t] = h
        if keep:
            cells[:, t] = c
    return outputs, h_n.copy_(h), c_n.copy_(c), sums if keep else gates, cells


def eager_backward(
    grad_h: Tensor | None,
    grad_h_n: Tensor | None,
    grad_c_n: Tensor | None,
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    h: Tensor,
    gates: Tensor,
    cells: Tensor,
    lengths: Tensor | None,
    reverse: bool,
    needed: list[bool],
) -> Tensors:
    """Return the gradients of x, h0, c0, weight_ih, weight_hh and of a bias.

    Arguments as in `lstm_operation`; what is not ``needed`` is an empty tensor.
    """
    # d sums = slopes * (dc, dc, dc, dh), for all steps at once but for what the loop finds.
    slopes, through = _slopes(gates, cells, c0, reverse)
    dh = torch.zeros_like(h0) if grad_h_n is None else grad_h_n
    dc = torch.zeros_like(c0) if grad_c_n is None else grad_c_n
    forget = gates.chunk(4, -1)[1]
    for t in reversed(order(x.shape[1], reverse)):
        dh = dh if grad_h is None else dh + grad_h[:, t]
        now = slopes[:, t].view(*dh.shape[:2], 4, dh.shape[2])
        total = torch.addcmul(dc, dh, through[:, t])
        into, carried = total.unsqueeze(2), total * forget[:, t]
        now[..., :3, :].mul_(into)
        now[..., 3, :].mul_(dh)
        if lengths is None:
            dh, dc = torch.bmm(slopes[:, t], weight_hh), carried
            continue
        running = (t < lengths).unsqueeze(2)
        now.masked_fill_(~running.unsqueeze(3), 0.0)
        dh = torch.where(running, torch.bmm(slopes[:, t], weight_hh), dh)
        dc = torch.where(running, carried, dc)
    return _outer_gradients(slopes, x, h, h0, weight_ih, reverse, needed, dh, dc)


def _slopes(gates: Tensor, cells: Tensor, c0: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    """Return d/dsums of c (first three gates) and of h (last gate), and dh/dc, for all steps."""
    i, f, g, o = gates.chunk(4, -1)
    bent = cells.tanh()
    slopes = torch.stack(
        [
            g * i * (1 - i),
            before(cells, c0, reverse) * f * (1 - f),
            i * (1 - g * g),
            bent * o * (1 - o),
        ],
        -2,
    )
    return slopes.flatten(-2), o * (1 - bent * bent)


def before(states: Tensor, initial: Tensor, reverse: bool) -> Tensor:
    """Return the state before every step, (R, T, B, H), from those after it."""
    start = initial.unsqueeze(1)
    parts = [states[:, 1:], start] if reverse else [start, states[:, :-1]]
    return torch.cat(parts, 1)


def _outer_gradients(
    sums: Tensor,
    x: Tensor,
    h: Tensor,
    h0: Tensor,
    weight_ih: Tensor,
    reverse: bool,
    needed: list[bool],
    dh0: Tensor,
    dc0: Tensor,
) -> Tensors:
    """Return the gradients that are wanted, from those of the gates' sums, (R, T, B, 4H)."""
    flat = sums.flatten(1, 2)
    found = (
        torch.bmm(flat, weight_ih).view_as(x) if needed[0] else None,
        dh0.contiguous() if needed[1] else None,
        dc0.contiguous() if needed[2] else None,
        torch.bmm(flat.mT, x.flatten(1, 2)) if needed[3] else None,
        torch.bmm(flat.mT, before(h, h0, reverse).flatten(1, 2)) if needed[4] else None,
        flat.sum(1) if needed[5] or needed[6] else None,
    )
    return tuple(x.new_empty(0) if gradient is None else gradient for gradient in found)
