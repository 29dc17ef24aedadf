"""Records that have the same tags, of many runs, in an array that grows to a limit.

Shapes: runs R, of which a block has A; records K; tags T; places C.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch

from optlab.diagnostics.verdicts.history import KINDS, Curve, Floats, Ints

MOST = 128  # records of a run; even, for half of them go when there is no place left


def of_rules(tag: str) -> bool:
    """Return whether some rule reads a tag."""
    return tag.partition("/")[0] in KINDS


class ThinnedSeries:
    """Of every run each s-th record from its first on, and the last; s doubles when they are many.

    Args:
        recorded: Names of the values of a record, in order; those of rules are kept.
        num_runs: Runs, R.

    Attributes:
        tags: Names of the values that are kept, (T).
    """

    def __init__(self, recorded: tuple[str, ...], num_runs: int) -> None:
        self.recorded = recorded
        self._columns = [i for i, tag in enumerate(recorded) if of_rules(tag)]
        self.tags = tuple(recorded[i] for i in self._columns)
        self._seen = np.zeros(num_runs, np.int64)
        self._strides = np.ones(num_runs, np.int64)
        self._updates: Ints = np.zeros((num_runs, 1), np.int64)
        self._values: Floats = np.zeros((num_runs, 1, len(self.tags)))
        self._last_updates: Ints = np.zeros(num_runs, np.int64)
        self._last_values: Floats = np.zeros((num_runs, len(self.tags)))

    def add(self, runs: Ints, updates: Ints, values: Floats) -> None:
        """Take records.

        Args:
            runs: Numbers of the runs, (A).
            updates: Updates made at each record, (K).
            values: All values of the records, (A, K, ...), in the order of ``recorded``.
        """
        seen, rows = self._seen[runs], values[..., self._columns]
        for k in _candidates(seen, self._strides[runs], len(updates)):
            self._keep(runs, seen + k, int(updates[k]), rows[:, k])
        self._seen[runs] = seen + len(updates)
        self._last_updates[runs], self._last_values[runs] = updates[-1], rows[:, -1]

    def curves(self, run: int) -> Iterator[tuple[str, Curve]]:
        """Yield tag and curve of what is kept of a run."""
        if not self._seen[run]:
            return
        count = -(-self._seen[run] // self._strides[run])
        updates, values = self._updates[run, :count], self._values[run, :count]
        if (self._seen[run] - 1) % self._strides[run]:  # the last is not among them
            updates = np.append(updates, self._last_updates[run])
            values = np.concatenate([values, self._last_values[run, None]])
        for column, tag in enumerate(self.tags):
            yield tag, Curve(updates.copy(), values[:, column].copy())

    def state(self) -> dict[str, Any]:
        """Return all of it as tensors and texts."""
        return {"recorded": list(self.recorded)} | {
            name: torch.from_numpy(getattr(self, f"_{name}").copy()) for name in ARRAYS
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], places: Sequence[int]) -> Self:
        """Return the series that gave a `state`, of the runs at some places."""
        series = cls(tuple(state["recorded"]), len(places))
        for name in ARRAYS:
            setattr(series, f"_{name}", state[name].numpy()[list(places)])
        return series

    def _keep(self, runs: Ints, index: Ints, update: int, row: Floats) -> None:
        """Keep a record, the index-th of each run, (A), where it is due."""
        due = index % self._strides[runs] == 0
        runs, index, row = runs[due], index[due], row[due]
        self._halve(runs[index // self._strides[runs] == MOST])
        places = index // self._strides[runs]
        self._grow(int(places.max(initial=-1)) + 1)
        self._updates[runs, places], self._values[runs, places] = update, row

    def _halve(self, runs: Ints) -> None:
        """Let go of every second record of these runs, and take only as many from here on."""
        if len(runs):
            self._updates[runs, : MOST // 2] = self._updates[runs, ::2]
            self._values[runs, : MOST // 2] = self._values[runs, ::2]
            self._strides[runs] *= 2

    def _grow(self, places: int) -> None:
        have = self._updates.shape[1]
        if places > have:
            more = min(max(places, 2 * have), MOST) - have
            self._updates = np.pad(self._updates, ((0, 0), (0, more)))
            self._values = np.pad(self._values, ((0, 0), (0, more), (0, 0)))


#: What a series consists of.
ARRAYS = ("seen", "strides", "updates", "values", "last_updates", "last_values")


def _candidates(seen: Ints, strides: Ints, count: int) -> range:
    """Return the numbers of the next records that may be due; all where runs differ."""
    first, stride = int(seen[0]), int(strides[0])
    if (seen == first).all() and (strides == stride).all():
        return range(-first % stride, count, stride)
    return range(count)
