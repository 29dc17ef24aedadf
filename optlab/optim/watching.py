"""Hooks and profilers around an optimizer's step, at no cost where there are none."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks


def watched(step: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``step`` as torch wraps it, but wrapped only while something watches.

    torch's wrapper takes as long as the update of a small model.
    """
    wrapped = Optimizer.profile_hook_step(step)

    @functools.wraps(step)
    def chosen(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        return (wrapped if is_watched(self) else step)(self, *args, **kwargs)

    return chosen


def is_watched(optimizer: Optimizer) -> bool:
    """Return whether anything watches steps: hooks of this optimizer, of all, or a profiler."""
    return bool(
        optimizer._optimizer_step_pre_hooks
        or optimizer._optimizer_step_post_hooks
        or _global_optimizer_pre_hooks
        or _global_optimizer_post_hooks
        or is_profiled()
    )


def is_profiled() -> bool:
    """Return whether a profiler records this thread."""
    return torch._C._autograd._profiler_enabled()
