"""Runs of a stack one after another: for what cannot be stacked, and to compare with."""

from collections.abc import Sequence

import torch
from torch import Tensor

from optlab.tasks.base import Split
from optlab.train.run import Run


class Sequential:
    """A `Backend` of any runs. See `optlab.train.stack.backend.Backend`.

    Nothing is shared but torch's global generator: a model of others that draws from it, as
    `torch.nn.Dropout` does, trains as if it were alone only in a stack of one.

    Args:
        runs: The runs, before their first update.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.members = runs

    @property
    def execution(self) -> str:
        """How updates are made, in the words of the runs."""
        return "; ".join(dict.fromkeys(run.execution for run in self.members))

    def advance(self, active: Sequence[int], rows: Tensor | None, factors: Tensor) -> Tensor:
        """Make K updates of each run; see `Backend.advance`."""
        taken = [
            self._steps(self.members[run], None if rows is None else rows[i], factors[i].tolist())
            for i, run in enumerate(active)
        ]
        return torch.stack(taken)

    def evaluate(self, active: Sequence[int], split: Split) -> Tensor:
        """Return means over a split; see `Backend.evaluate`."""
        means = []
        for member in (self.members[run] for run in active):
            with member.at_iterate():
                means.append(member.objective.averages(member.module, split)[0])
        return torch.stack(means).cpu()

    @staticmethod
    def _steps(run: Run, rows: Tensor | None, factors: list[float]) -> Tensor:
        """Make one update per factor on rows (K, B); return their values, (K, M)."""
        values = [
            torch.stack(run.step(None if rows is None else rows[k], factor))
            for k, factor in enumerate(factors)
        ]
        return torch.stack(values)
