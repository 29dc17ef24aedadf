"""What the loop asks of a run, whatever executes it."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from optlab.train.objective import Objective


class Run(Protocol):
    """One training run: a module on its data, advanced one update at a time.

    Attributes:
        module: The model; its parameters hold the current weights between updates.
        objective: What is minimized and measured.
        lr: Learning rate before the schedule's factor.
        execution: How updates are made; see `optlab.results.RunResult.execution`.
    """

    module: nn.Module
    objective: Objective
    lr: float

    @property
    def execution(self) -> str:
        """How updates are made."""
        ...

    def step(self, rows: Tensor | None, lr_factor: float) -> list[Tensor]:
        """Make one update on ``rows`` (None: all) and return `Objective.values` of the batch.

        The values are taken before the update and stay on the device; nothing waits for it.
        """
        ...

    def at_iterate(self) -> AbstractContextManager[None]:
        """Hold the point to evaluate in the module's parameters (for NAG not where it steps)."""
        ...

    def gradients(self) -> Mapping[str, Tensor]:
        """Return the last update's gradient of the loss by parameter name.

        It is what came before penalties and clipping; it may be overwritten by the next update.
        """
        ...

    def snapshot(self) -> Any:
        """Return a copy of the weights and buffers, for `restore`."""
        ...

    def restore(self, snapshot: Any) -> None:
        """Put back the weights and buffers of `snapshot`."""
        ...

    def state(self) -> dict[str, Any]:
        """Return all that changes while the run trains: tensors in use, numbers, texts, lists."""
        ...

    def load(self, state: Mapping[str, Any]) -> None:
        """Put the run where it stood when `state` was asked, before its first update."""
        ...


def state_of(module: nn.Module) -> dict[str, Any]:
    """Return a module's parameters and all its buffers, in use, and what else it says is state."""
    return {**dict(module.named_buffers()), **module.state_dict()}


@torch.no_grad()
def load_into(module: nn.Module, state: Mapping[str, Any]) -> None:
    """Overwrite in place what `state_of` returned."""
    own = module.state_dict()
    module.load_state_dict({name: state[name] for name in own})
    for name, value in module.named_buffers():
        if name not in own:
            value.copy_(state[name])


def copy_of(module: nn.Module) -> dict[str, Tensor]:
    """Return a copy of a module's parameters and buffers."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


@torch.no_grad()
def copy_into(module: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Overwrite a module's parameters and buffers in place."""
    for name, value in module.state_dict().items():
        value.copy_(values[name])
