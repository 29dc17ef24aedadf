"""How a stack's training stands between two updates, and who keeps it."""

from dataclasses import dataclass
from typing import Any, Protocol

import torch

from optlab.train.stack.runs import Runs
from optlab.train.stack.windows import Windows


@dataclass(frozen=True)
class State:
    """All that a training needs to go on, bit for bit, as if it had never stopped.

    Data, order of rows, schedules and masks of dropout are functions of the configuration and of
    the number of the update, and are not in it.

    Attributes:
        updates: Updates that every active run has made.
        runs: Of each run what `Runs.state` and `Windows.state` return.
        random: States of torch's global generators by device, from which a model or optimizer of
            others may draw.
    """

    updates: int
    runs: list[dict[str, Any]]
    random: dict[str, torch.Tensor]

    def of(self, places: list[int]) -> "State":
        """Return the state of some of the runs."""
        return State(self.updates, [self.runs[place] for place in places], self.random)

    def load_into(self, runs: Runs, windows: Windows) -> None:
        """Put runs where they stood."""
        for run, state in enumerate(self.runs):
            runs.load(run, state["run"])
            windows.load(run, self.updates, state["window"])
        for device, numbers in self.random.items():
            if device == "cpu":
                torch.set_rng_state(numbers)
            else:
                torch.cuda.set_rng_state(numbers, device)


class Checkpointer(Protocol):
    """Is asked before every few updates; it may raise to end the training there."""

    def is_due(self) -> bool:
        """Return whether the state is wanted now."""
        ...

    def keep(self, state: State) -> None:
        """Keep the state; its tensors are those in use, and change with the next update."""
        ...


def state_of(runs: Runs, windows: Windows, updates: int) -> State:
    """Return how runs stand after some updates."""
    states = [
        {"run": runs.state(run), "window": windows.state(run)} for run in range(len(runs.members))
    ]
    random = {"cpu": torch.get_rng_state()}
    devices = {p.device for member in runs.members for p in member.module.parameters()}
    random |= {str(d): torch.cuda.get_rng_state(d) for d in devices if d.type == "cuda"}
    return State(updates, states, random)
