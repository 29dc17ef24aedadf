"""What advances many runs together, whatever executes it.

The runs of a stack share data, objective, batch size and the shapes of their weights. Each has its
own seed, weights, hyperparameters and schedule, and nothing that happens to one changes another.

Shapes: active runs A, updates K, rows of a batch B, values M (the loss and the metrics).
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from torch import Tensor, nn

from optlab.tasks.base import Split
from optlab.train.objective import Objective


class Member(Protocol):
    """One run of a stack between updates: `optlab.train.run.Run` without ``step``.

    Attributes:
        module: The run's own module; its parameters and buffers are, or show, its current ones.
        objective: What is minimized and measured.
        lr: Learning rate before the schedule's factor.
    """

    module: nn.Module
    objective: Objective
    lr: float

    def at_iterate(self) -> AbstractContextManager[None]:
        """Hold the point to evaluate in the module's parameters (for NAG not where it steps)."""
        ...

    def gradients(self) -> Mapping[str, Tensor]:
        """Return the last update's gradient of the loss by parameter name."""
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
        """Put the run where it stood when `state` was asked, before it is advanced."""
        ...


class Backend(Protocol):
    """Executes the runs of a stack.

    Attributes:
        members: The runs, in the order in which they were given.
        execution: How updates are made; see `optlab.results.RunResult.execution`.
    """

    @property
    def members(self) -> Sequence[Member]:
        """The runs, in the order in which they were given."""
        ...

    @property
    def execution(self) -> str:
        """How updates are made."""
        ...

    def advance(self, active: Sequence[int], rows: Tensor | None, factors: Tensor) -> Tensor:
        """Make K updates of each active run.

        Args:
            active: Numbers of the runs, ascending; once left out, a run does not come back.
            rows: Row numbers of each run's batches, (A, K, B), int64, on the device of the data;
                None stands for all rows, in order.
            factors: Of each run's learning rate, (A, K), float64, on the CPU.

        Returns:
            `Objective.values` of each batch before its update, (A, K, M), on the device; nothing
            waits for it.
        """
        ...

    def evaluate(self, active: Sequence[int], split: Split) -> Tensor:
        """Return the means over a split of each active run's loss and metrics, at its iterate.

        Returns:
            Averages in the order of ``objective.names``, roots not yet taken, (A, M), float64, on
            the CPU.
        """
        ...
