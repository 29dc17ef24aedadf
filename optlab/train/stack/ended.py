"""What is left of a run of a stack once it has ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optlab.tasks.base import Data, Split
from optlab.train.objective import Objective
from optlab.train.stack.backend import Backend
from optlab.train.standing import Outcome, Standing


@dataclass(frozen=True)
class Ended:
    """A run of a stack after its training; its module holds the weights to use.

    Attributes:
        outcome: How it ended.
        scores: Loss and metrics by split, at those weights.
        best_weights: `Member.snapshot` of its best evaluation, where such were kept.
    """

    outcome: Outcome
    scores: Mapping[str, Mapping[str, float]]
    best_weights: Any


def settled(
    standings: Mapping[int, Standing], backend: Backend, objective: Objective, data: Data
) -> dict[int, Ended]:
    """Leave in the modules of runs the weights to use, and score these on every split.

    Runs that end at their iterates are scored together, those that go back to their best weights
    one by one.

    Args:
        standings: The runs that end, by number.
        backend: What trained them.
        objective: What is minimized and measured.
        data: Encoded splits.
    """
    splits = {"train": data.train, "val": data.val, "test": data.test}
    at_iterate = [run for run in sorted(standings) if not standings[run].ends_with_best]
    together = {
        name: _scores(at_iterate, backend, objective, split) for name, split in splits.items()
    }
    ended = {}
    for run, standing in standings.items():
        member = backend.members[run]
        standing.settle(member)
        if standing.ends_with_best:
            means = {n: objective.averages(member.module, split)[0] for n, split in splits.items()}
            scores = {name: objective.shown(row.tolist()) for name, row in means.items()}
        else:
            scores = {name: together[name][run] for name in splits}
        ended[run] = Ended(standing.outcome, scores, standing.best_weights)
    return ended


def _scores(
    runs: list[int], backend: Backend, objective: Objective, split: Split
) -> dict[int, dict[str, float]]:
    """Return loss and metrics over a split, at the iterate of each run."""
    means = backend.evaluate(runs, split).tolist() if runs else []
    return {run: objective.shown(row) for run, row in zip(runs, means, strict=True)}
