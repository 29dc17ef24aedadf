"""Looks at all weights and gradients of a stack's runs, for histograms."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from optlab.diagnostics.flow import evenly
from optlab.train.stack.backend import Member

#: Of a run, whatever its length and depth: a histogram takes about a kilobyte on the disk.
MOST_PARAMETERS, MOST_LOOKS = 50, 100

#: Takes ``(run, update, {tag: numbers})``; the numbers are those in use, to be read at once.
TakeNumbers = Callable[[int, int, Mapping[str, npt.NDArray[np.generic]]], None]


class Distributions:
    """Looks at runs between updates; nothing of them is changed.

    Tags are ``weights/<name>``, of the iterate, and ``gradients/<name>``, of the update before the
    look; before the first update there are none. Of more than `MOST_PARAMETERS` parameters so many
    are looked at, evenly from the first to the last.

    Args:
        members: The runs.
        every: Updates between looks, as asked for; 0 for none.
        num_updates: Updates of the whole training.
        take: Takes the numbers; None for no looks.

    Attributes:
        every: Updates between looks, as they are made: see `cadence`.
    """

    def __init__(
        self, members: Sequence[Member], every: int, num_updates: int, take: TakeNumbers | None
    ) -> None:
        self._members, self._take = members, take
        self.every = 0 if take is None else cadence(every, num_updates)

    @torch.no_grad()
    def look(self, runs: Sequence[int], update: int) -> None:
        """Hand on the numbers of each run after so many updates, when due."""
        if self._take is None or not self.every or update % self.every:
            return
        for run in runs:
            member = self._members[run]
            weights = dict(member.module.named_parameters())
            names = evenly(list(weights), MOST_PARAMETERS)
            gradients = member.gradients() if update else {}
            found = {f"gradients/{n}": _numbers(gradients[n]) for n in names if n in gradients}
            with member.at_iterate():
                found |= {f"weights/{name}": _numbers(weights[name]) for name in names}
                self._take(run, update, found)


def cadence(every: int, num_updates: int) -> int:
    """Return the updates between looks: a multiple of ``every`` that makes `MOST_LOOKS` at most."""
    return every * max(1, math.ceil(num_updates / (every * MOST_LOOKS))) if every else 0


def _numbers(tensor: Tensor) -> npt.NDArray[np.generic]:
    found: npt.NDArray[np.generic] = tensor.detach().cpu().numpy()
    return found
