"""Averages over windows of updates, of all runs of a stack at once.

Sums are made in float64 in the order of the updates, so that a run's records are the same whatever
trains beside it, and a loss that is not finite ends the run where its window ends.

Shapes: runs R, active runs A, updates K, windows W, values M (the loss and the metrics).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from optlab.train.objective import Objective
from optlab.train.stack.sink import Sink
from optlab.train.standing import Diverged


class Found(NamedTuple):
    """A loss that was not finite, and the update whose record showed it."""

    update: int
    diverged: Diverged


class Windows:
    """Takes values update by update and hands on a record per window and run.

    Args:
        objective: Names the values.
        lrs: Learning rate of each run before the schedule's factor, (R,).
        log_every: Updates of a window.
        updates_per_epoch: Updates of one pass over the training rows.
        sink: Takes the records.
    """

    def __init__(
        self,
        objective: Objective,
        lrs: Sequence[float],
        log_every: int,
        updates_per_epoch: int,
        sink: Sink,
    ) -> None:
        self._lrs, self._length, self._sink = np.array(lrs), log_every, sink
        self._updates_per_epoch = updates_per_epoch
        self._tags = [*(f"{name}/train" for name in objective.names), "lr"]
        self._roots = [i for i, name in enumerate(objective.names) if name in objective.roots]
        self._sums = np.zeros((len(lrs), len(objective.names)))
        self._last_lrs = self._lrs.copy()
        self._update = 0
        self._bad: dict[int, Diverged] = {}

    def add(
        self, active: Sequence[int], values: np.ndarray, factors: np.ndarray
    ) -> dict[int, Found]:
        """Take the values of the next K updates and record the windows that they complete.

        Args:
            active: Numbers of the runs, (A).
            values: `Objective.values` of each update, (A, K, M), float64.
            factors: Of each run's learning rate, (A, K).

        Returns:
            The runs that diverged, each with its records up to that window. What came after is
            not recorded.
        """
        runs, first = np.array(active), self._update
        self._note_bad(active, values[..., 0])
        self._update += values.shape[1]
        means = self._completed(runs, values)
        num_windows = means.shape[1]
        ends = [(first // self._length + 1 + w) * self._length for w in range(num_windows)]
        lrs = self._lrs[runs, None] * factors
        self._last_lrs[runs] = lrs[:, -1]
        if not ends:
            return {}
        found = {
            run: Found(end, bad)
            for run, bad in self._bad.items()
            if (end := -(-bad.update // self._length) * self._length) <= ends[-1]
        }
        for run in found:
            del self._bad[run]
        lrs = lrs[:, [end - first - 1 for end in ends]]
        self._record(active, ends, means, lrs, found)
        return found

    def flush(self, runs: Sequence[int]) -> dict[int, Found]:
        """Record what is left of runs that end here; return those with a bad loss in it."""
        left = self._update % self._length
        if not runs or not left:
            return {}
        numbers = np.array(runs)
        means = (self._sums[numbers] / left)[:, None]
        self._record(runs, [self._update], means, self._last_lrs[numbers, None], {})
        return {run: Found(self._update, self._bad.pop(run)) for run in runs if run in self._bad}

    def state(self, run: int) -> dict[str, Any]:
        """Return what is kept of a run's unfinished window: tensors, numbers and texts."""
        bad = self._bad.get(run)
        return {
            "sums": torch.from_numpy(self._sums[run].copy()),
            "lr": float(self._last_lrs[run]),
            "bad": None if bad is None else (bad.update, bad.value),
        }

    def load(self, run: int, update: int, state: Mapping[str, Any]) -> None:
        """Go on with a run's window where it stood after an update."""
        self._sums[run], self._last_lrs[run] = state["sums"].numpy(), state["lr"]
        if state["bad"] is not None:
            self._bad[run] = Diverged(*state["bad"])
        self._update = update

    def _note_bad(self, active: Sequence[int], losses: np.ndarray) -> None:
        """Note the first loss of each run that is not finite; losses are (A, K)."""
        is_bad = ~np.isfinite(losses)
        for i in np.flatnonzero(is_bad.any(axis=1)).tolist():
            k = int(is_bad[i].argmax())
            diverged = Diverged(self._update + k + 1, float(losses[i, k]))
            self._bad.setdefault(active[i], diverged)

    def _completed(self, runs: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the means of the windows that end, (A, W, M), and keep the sums of the rest."""
        num_runs, num_updates, width = values.shape
        length = self._length
        filled = (self._update - num_updates) % length
        head = min(length - filled, num_updates)
        num_full, _ = divmod(num_updates - head, length)
        full_end = head + num_full * length
        with np.errstate(invalid="ignore", over="ignore"):
            carried = self._sums[runs, None]
            total = _in_order(np.concatenate([carried, values[:, :head]], axis=1))
            if filled + head < length:
                self._sums[runs] = total
                return np.empty((num_runs, 0, width))
            full = values[:, head:full_end].reshape(num_runs, num_full, length, width)
            self._sums[runs] = _in_order(values[:, full_end:])
            return np.concatenate([total[:, None], _in_order(full)], axis=1) / length

    def _record(
        self,
        runs: Sequence[int],
        ends: Sequence[int],
        means: np.ndarray,
        lrs: np.ndarray,
        found: Mapping[int, Found],
    ) -> None:
        """Hand on records (A, W) of runs; of those in ``found`` only up to their end."""
        means[..., self._roots] = np.sqrt(means[..., self._roots])
        values = np.concatenate([means, lrs[..., None]], axis=-1)
        healthy = [i for i, run in enumerate(runs) if run not in found]
        if healthy:
            block = values if len(healthy) == len(runs) else values[healthy]
            self._hand_on([runs[i] for i in healthy], ends, block)
        for i, run in enumerate(runs):
            if run in found:
                kept = ends.index(found[run].update) + 1
                self._hand_on([run], ends[:kept], values[i : i + 1, :kept])

    def _hand_on(self, runs: Sequence[int], ends: Sequence[int], values: np.ndarray) -> None:
        epochs = [end / self._updates_per_epoch for end in ends]
        self._sink.log_block(runs, ends, epochs, self._tags, values)


def _in_order(values: np.ndarray) -> np.ndarray:
    """Return sums over the next to last axis, one after another; `np.sum` goes pairwise."""
    if not values.shape[-2]:
        return np.zeros((*values.shape[:-2], values.shape[-1]))
    return np.add.accumulate(values, axis=-2)[..., -1, :]
