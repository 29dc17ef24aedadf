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


def copy_of(module: nn.Module) -> dict[str, Tensor]:
    """Return a copy of a module's parameters and buffers."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


@torch.no_grad()
def copy_into(module: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Overwrite a module's parameters and buffers in place."""
    for name, value in module.state_dict().items():
        value.copy_(values[name])
