"""The compiled kernels of the CPU against the eager update."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from optlab.check.case import Case, distance, parameters, random, set_gradients, tensors_of
from optlab.check.promise import expect, promise
from optlab.optim.trial import walk

#: Functions whose last bit in the C library is not that of PyTorch's vectorized ones.
LIBRARY = {"exp", "log", "tanh", "cos", "pow"}


class _Names(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collects the names of the operations on elements."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.ndim:
            self.names.add(func.overloadpacket.__name__)
        return result


class _CorrectRoots(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Rounds square roots as IEEE 754 asks.

    Kernels do; PyTorch's own on the CPU may be MKL's, a fifth of which are off by the last bit.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.sqrt.default:
            return torch.from_numpy(np.asarray(np.sqrt(args[0].detach().numpy())))
        return func(*args, **(kwargs or {}))


@promise(
    "the fast path equals the eager one, bit for bit",
    mend="use arithmetic that optlab.optim.kit and torch name alike for numbers and tensors; what "
    "has no kernel is updated eagerly and breaks nothing",
)
def is_the_same_compiled(case: Case) -> str | None:
    """Where a rule has no kernel, or the machine no compiler, both are eager; it says why.

    Functions of the C library (`LIBRARY`) may differ in the last bits, which it says too.
    """
    rounded = sorted(_functions(case) & LIBRARY)
    shapes = ((5,), (4, 3), (), (0,), (17,))
    params, others = parameters(*shapes), parameters(*shapes)
    fast, eager = case.new(params), case.new(others, fast=False)
    for step in range(4):
        set_gradients(params, seed=step)
        set_gradients(others, seed=step)
        fast.step()
        if any(fast.eager_reasons):
            eager.step()
        else:
            with _CorrectRoots():  # type: ignore[no-untyped-call]
                eager.step()
    for a, b in zip(params, others, strict=True):
        same = _equal(a, b, bool(rounded))
        expect(same, f"the eager parameter {tuple(a.shape)}", distance(a, b))
        for name, value in tensors_of(eager.state.get(b, {})).items():
            same = _equal(fast.state[a][name], value, bool(rounded))
            expect(same, f"the eager {name}", distance(fast.state[a][name], value))
    reasons = {reason for reason in fast.eager_reasons if reason}
    if reasons:
        return f"eager here: {'; '.join(sorted(reasons))}"
    return f"but for the last bits of {', '.join(rounded)}" if rounded else None


def _functions(case: Case) -> set[str]:
    """Return the names of the operations on elements in one update."""
    seen = _Names()
    with seen:
        walk(case.rule, case.hyper, random(5, seed=1), random(1, 5, seed=2))
    return seen.names


def _equal(found: Tensor, expected: Tensor, nearly: bool) -> bool:
    """Return whether two tensors have the same bits, or ``nearly``: four steps of rounding."""
    if nearly:
        return torch.allclose(found, expected, rtol=1e-6, atol=1e-7)
    return torch.equal(found, expected)
