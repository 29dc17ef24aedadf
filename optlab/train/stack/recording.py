"""Records that are no averages of a window: what is measured of runs at one update."""

from collections.abc import Mapping, Sequence

import numpy as np

from optlab.train.stack.sink import Sink


class Recording:
    """Hands values of a stack's runs on to a sink.

    Args:
        sink: Takes the records.
        updates_per_epoch: Updates of one pass over the training rows.
    """

    def __init__(self, sink: Sink, updates_per_epoch: int) -> None:
        self._sink, self._updates_per_epoch = sink, updates_per_epoch

    def one(self, run: int, update: int, values: Mapping[str, float]) -> None:
        """Record values of a run, where there are any."""
        if values:
            self._sink.log(run, update, update / self._updates_per_epoch, values)

    def all(self, runs: Sequence[int], update: int, found: Sequence[Mapping[str, float]]) -> None:
        """Record the values of every run, together where they have the same tags."""
        tags = list(dict.fromkeys(tuple(values) for values in found))
        if len(tags) > 1:
            for run, values in zip(runs, found, strict=True):
                self.one(run, update, values)
        elif tags and tags[0]:
            block = np.array([list(values.values()) for values in found])[:, None]
            epoch = update / self._updates_per_epoch
            self._sink.log_block(runs, [update], [epoch], tags[0], block)
