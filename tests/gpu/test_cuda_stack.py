"""Stacked runs on a CUDA device: the CPU's numbers, and no waiting inside an epoch."""

import pytest
import torch

from optlab.nn import BatchNorm1d, ReLU, Tanh
from optlab.optim import SGD, Adam
from optlab.train.stack.vmapped import Vmapped
from tests.train.stack.vmapped_runs import factors_of, part, rows_of, weights

pytestmark = [
    pytest.mark.gpu,
    # Said once per process by torch itself, when backward's thread meets cuBLAS first.
    pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS"),
]
modes = pytest.mark.parametrize("is_compiled", [False, True], ids=["eager", "compiled"])
KINDS = [(Adam, ReLU), (SGD, Tanh), (Adam, Tanh)]


def runs(device):
    return [
        part(n, entry, activation=f, norm=BatchNorm1d, dropout=0.5, device=device)
        for n, (entry, f) in enumerate(KINDS)
    ]


@modes
def test_a_stack_equals_that_of_the_cpu(is_compiled):
    there, here = runs("cuda"), runs("cpu")
    stacks = [Vmapped(there, is_compiled), Vmapped(here, False)]
    orders, factors = [rows_of(parts, 20) for parts in (there, here)], factors_of(3, 20)
    values = [stack.advance([0, 1, 2], o, factors) for stack, o in zip(stacks, orders, strict=True)]
    # The same sums in another order.
    torch.testing.assert_close(values[0].cpu(), values[1], rtol=1e-9, atol=1e-9)
    for mine, theirs in zip(there, here, strict=True):
        found, wanted = weights(mine.module), weights(theirs.module)
        for name, tensor in wanted.items():
            torch.testing.assert_close(found[name].cpu(), tensor, rtol=1e-9, atol=1e-9)


@modes
def test_nobody_waits_for_the_device_inside_an_epoch(is_compiled):
    parts = runs("cuda")
    stack, orders, factors = Vmapped(parts, is_compiled), rows_of(parts, 10), factors_of(3, 10)
    stack.advance([0, 1, 2], orders[:, :5], factors[:, :5])  # what is made is made here
    torch.cuda.set_sync_debug_mode("error")
    try:
        values = stack.advance([0, 1, 2], orders[:, 5:], factors[:, 5:])
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert values.isfinite().all()
