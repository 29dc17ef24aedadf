"""Keeps of many runs' records what the rules read, in bounded memory."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from optlab.diagnostics.verdicts.history import Curve, History
from optlab.diagnostics.verdicts.thinned_series import ThinnedSeries, of_rules

PENDING = 64  # blocks that wait to be sorted in: what one costs is mostly calls of Python


class Histories:
    """Records of runs that train together, or of one; an `optlab.train.stack.Sink`.

    Of every run and tag at most `thinned_series.MOST` records are kept, evenly spaced, and the
    last. Which ones depends on the records alone: a run that was interrupted and resumed keeps the
    same as one that was not.

    Args:
        num_runs: How many runs; their numbers begin at 0.
    """

    def __init__(self, num_runs: int = 1) -> None:
        self._num_runs = num_runs
        self._series: dict[tuple[str, ...], ThinnedSeries | None] = {}
        self._pending: list[tuple[tuple[int, ...], tuple[str, ...], Any, np.ndarray]] = []

    def log(self, run: int, update: int, epoch: float, values: Mapping[str, float]) -> None:
        """Take a record of one run."""
        row = np.array([[[*values.values()]]])
        self._add((run,), tuple(values), (update,), row)

    def log_block(
        self,
        runs: Sequence[int],
        updates: Sequence[int],
        epochs: Sequence[float],
        tags: Sequence[str],
        values: np.ndarray,
    ) -> None:
        """Take records of several runs at the same updates; see `Sink.log_block`."""
        self._add(tuple(runs), tuple(tags), tuple(updates), values)

    def history(self, run: int = 0) -> History:
        """Return what is kept of a run."""
        self._sort_in()
        pieces: dict[str, list[Curve]] = {}
        for series in filter(None, self._series.values()):
            for tag, curve in series.curves(run):
                pieces.setdefault(tag, []).append(curve)
        return History({tag: _joined(own) for tag, own in pieces.items()})

    def state(self) -> dict[str, Any]:
        """Return all of it as tensors, numbers and texts, for a checkpoint."""
        self._sort_in()
        return {"series": [series.state() for series in filter(None, self._series.values())]}

    def load(self, state: Mapping[str, Any], places: Sequence[int]) -> None:
        """Take up a `state` in place of what is kept.

        Args:
            state: Of these runs, perhaps among others.
            places: Which of its runs they are.
        """
        self._pending = []
        made = [ThinnedSeries.from_state(own, places) for own in state["series"]]
        self._series = {series.recorded: series for series in made}

    def _add(
        self,
        runs: tuple[int, ...],
        tags: tuple[str, ...],
        updates: tuple[int, ...],
        values: np.ndarray,
    ) -> None:
        if tags not in self._series:
            wanted = any(map(of_rules, tags))
            self._series[tags] = ThinnedSeries(tags, self._num_runs) if wanted else None
        if self._series[tags] is not None:
            self._pending.append((runs, tags, updates, np.array(values, np.float64)))
            if len(self._pending) >= PENDING:
                self._sort_in()

    def _sort_in(self) -> None:
        """Sort what waits into the series: blocks of the same runs and tags in one go."""
        blocks: dict[tuple[tuple[int, ...], tuple[str, ...]], list[tuple[Any, np.ndarray]]] = {}
        for runs, tags, updates, values in self._pending:
            blocks.setdefault((runs, tags), []).append((updates, values))
        self._pending = []
        for (runs, tags), own in blocks.items():
            series = self._series[tags]
            assert series is not None
            updates = np.concatenate([np.array(made, np.int64) for made, _ in own])
            series.add(np.array(runs), updates, np.concatenate([v for _, v in own], axis=1))


def _joined(pieces: Sequence[Curve]) -> Curve:
    """Return the records of one tag that came beside different others, in order of update."""
    if len(pieces) == 1:
        return pieces[0]
    updates = np.concatenate([piece.updates for piece in pieces])
    order = np.argsort(updates, kind="stable")
    return Curve(updates[order], np.concatenate([piece.values for piece in pieces])[order])
