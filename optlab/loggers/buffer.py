"""Records of many runs between the loop that makes them and the files that keep them.

Shapes: runs A of a block, records K of a run, tags T, records N in all.
"""

import itertools
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Tags = tuple[str, ...]


@dataclass(frozen=True)
class Records:
    """Records that have the same tags.

    Attributes:
        tags: Names of the values, (T).
        runs: Number of the run of each record, (N).
        updates: Updates made, (N).
        epochs: The same in passes over the training rows, (N).
        times: Seconds since 1970, (N).
        places: Ascending for each run in the order in which its records were made, (N).
        values: Values, (N, T).
    """

    tags: Tags
    runs: Ints
    updates: Ints
    epochs: Floats
    times: Floats
    places: Ints
    values: Floats


class _Block(NamedTuple):
    """Records of several runs, as many of each: the entries of `Records` along each axis."""

    runs: tuple[int, ...]
    updates: list[int]
    epochs: list[float]
    times: list[float]
    places: range
    values: Floats


class RecordBuffer:
    """Keeps records of a stack in memory, the time of each among them.

    The records of a block arrive together, long after most were made. All runs of a stack make the
    same updates at the same time, and make them evenly, so the records are spread by update
    between the last one before and now.

    Attributes:
        num_values: Values that are kept now.
    """

    def __init__(self) -> None:
        self._since_s = time.time() - time.perf_counter()
        self._last_update, self._last_s = 0, self._now()
        self._place = 0
        self._clear()

    def _clear(self) -> None:
        self._single: dict[Tags, list[tuple[int, int, float, float, int, list[float]]]]
        self._single, self._blocks = defaultdict(list), defaultdict[Tags, list[_Block]](list)
        self.num_values = 0

    def add(self, run: int, update: int, epoch: float, values: Mapping[str, float]) -> None:
        """Keep one record, made now."""
        now = self._now()
        row = (run, update, epoch, now, self._place, list(values.values()))
        self._single[tuple(values)].append(row)
        self._last_update, self._last_s = update, now
        self._place += 1
        self.num_values += len(values)

    def add_block(
        self,
        runs: Sequence[int],
        updates: Sequence[int],
        epochs: Sequence[float],
        tags: Sequence[str],
        values: np.ndarray,
    ) -> None:
        """Keep a block; see `optlab.train.stack.Sink.log_block`."""
        places = range(self._place, self._place + len(updates))
        made, copy = list(updates), np.array(values, np.float64)
        block = _Block(tuple(runs), made, list(epochs), self._times(made), places, copy)
        self._blocks[tuple(tags)].append(block)
        self._place = places.stop
        self.num_values += copy.size

    def take(self) -> list[Records]:
        """Return what is kept, by tags and run by run, and keep it no longer."""
        pieces: dict[Tags, list[Records]] = defaultdict(list)
        for tags, blocks in self._blocks.items():
            for runs, own in itertools.groupby(blocks, key=lambda block: block.runs):
                pieces[tags].append(_unfolded(tags, runs, list(own)))
        for tags, rows in self._single.items():
            *columns, values = zip(*rows, strict=True)
            runs, updates, epochs, times, places = map(np.array, columns)
            pieces[tags].append(
                Records(tags, runs, updates, epochs, times, places, np.array(values, np.float64))
            )
        self._clear()
        return [_joined(tags, own) for tags, own in pieces.items() if tags]

    def _now(self) -> float:
        """Return seconds since 1970 by the clock as it was at first, however it is set later."""
        return self._since_s + time.perf_counter()

    def _times(self, updates: Sequence[int]) -> list[float]:
        """Return when each update of a block was made."""
        now, since, last_s = self._now(), self._last_update, self._last_s
        per_update = (now - last_s) / max(updates[-1] - since, 1)
        self._last_update, self._last_s = updates[-1], now
        return [now - (updates[-1] - max(update, since)) * per_update for update in updates]


def _unfolded(tags: Tags, runs: tuple[int, ...], blocks: Sequence[_Block]) -> Records:
    """Return blocks of the same runs as records, run by run."""
    names = ("updates", "epochs", "times", "places")
    along = (np.concatenate([getattr(block, name) for block in blocks]) for name in names)
    updates, epochs, times, places = (np.tile(column, len(runs)) for column in along)
    values = np.concatenate([block.values for block in blocks], axis=1)
    of_run = np.repeat(np.array(runs), values.shape[1])
    rows = values.reshape(len(of_run), len(tags))
    return Records(tags, of_run, updates, epochs, times, places, rows)


def _joined(tags: Tags, pieces: Sequence[Records]) -> Records:
    """Return pieces as one, run by run and each run's in the order in which they were made."""
    names = ("runs", "updates", "epochs", "times", "places", "values")
    columns = [np.concatenate([getattr(piece, name) for piece in pieces]) for name in names]
    order = np.lexsort((columns[names.index("places")], columns[names.index("runs")]))
    return Records(tags, *(column[order] for column in columns))
