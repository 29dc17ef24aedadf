"""The compiled kernels of the CPU against the eager update."""

from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from optlab.check.case import Case, distance, parameters, set_gradients, tensors_of
from optlab.check.promise import expect, promise


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
    """Where a rule has no kernel, or the machine no compiler, both are eager; it says why."""
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
        expect(torch.equal(a, b), f"the eager parameter {tuple(a.shape)}", distance(a, b))
        for name, value in tensors_of(eager.state.get(b, {})).items():
            same = torch.equal(fast.state[a][name], value)
            expect(same, f"the eager {name}", distance(fast.state[a][name], value))
    reasons = {reason for reason in fast.eager_reasons if reason}
    return f"eager here: {'; '.join(sorted(reasons))}" if reasons else None
