"""Which trial of each optimizer is the best within each budget, and how it does on fresh seeds."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from optlab.protocol.jobs import Job, Words
from optlab.protocol.space import Interval
from optlab.records import RunRecord
from optlab.report.cells import Cell, Estimate, identity
from optlab.report.ranking import by_cell, estimate, rank, score

#: Ends of a run that are results; every other is a miss, as one that diverged is.
DONE = "done"


@dataclass(frozen=True)
class Winner:
    """The best trial of one optimizer in one setting within one budget.

    Attributes:
        group: What it can be compared within, as in a ranking.
        metric: ``"accuracy"`` or ``"loss"``, on the validation split.
        optimizer: What was tuned.
        setting: Words that hold for all trials.
        budget: Trials that it is the best of.
        trial: Which of them it is, from 0, the defaults.
        drawn: Words of that trial.
        tuned: Mean metric on the seeds for tuning, by which it was chosen.
        runs: Runs that the choice took.
        row_gradients: Gradients of rows that they took; None where nobody noted it.
        misses: Of these runs, those that did not come to their end.
        edges: Options whose value lies at an end of the interval that was searched.
        scores: Metric on each of the fresh seeds, the worst there is for a miss; empty before.
    """

    group: str
    metric: str
    optimizer: str
    setting: Words
    budget: int
    trial: int
    drawn: Words
    tuned: float
    runs: int
    row_gradients: int | None
    misses: int
    edges: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()

    @property
    def fresh(self) -> Estimate:
        """Its metric on the fresh seeds; nan before there are any."""
        return estimate(self.scores, self.metric)

    @property
    def values(self) -> str:
        """The options that were drawn for it, as they are typed behind ``optimizer.``."""
        return " ".join(word.removeprefix("optimizer.") for word in self.drawn) or "defaults"

    def value(self, option: str) -> float:
        """Return the value that was drawn for an option."""
        words = (word.removeprefix("optimizer.").split("=") for word in self.drawn)
        return float(dict(words)[option])

    def jobs(self, seeds: Iterable[int]) -> list[Job]:
        """Return its runs on some seeds."""
        return [Job(self.optimizer, self.setting, self.trial, self.drawn, seed) for seed in seeds]


def winners(
    found: Mapping[Job, RunRecord],
    budgets: Sequence[int],
    spaces: Mapping[str, Mapping[str, Interval]],
) -> list[Winner]:
    """Return the best trial of every optimizer in every setting within every budget.

    The order is that of a ranking: by the mean over seeds, runs that diverged or failed as the
    worst there is.

    Args:
        found: All trials, as they ended.
        budgets: Numbers of trials.
        spaces: What was searched of each optimizer.
    """
    ranking = rank(list(found.values()))
    jobs = {record.folder: job for job, record in found.items()}
    runs = by_cell(found.values(), ranking.keys)
    of_setting: dict[Words, list[Job]] = {}
    for job in found:
        of_setting.setdefault(job.setting, []).append(job)
    best: dict[tuple[Words, int], Winner] = {}
    for group, cells in ranking.groups.items():
        for cell in cells:
            job = jobs[runs[identity(cell.key)][0].folder]
            for budget in budgets:
                if job.trial < budget and (job.setting, budget) not in best:
                    spent = [found[j] for j in of_setting[job.setting] if j.trial < budget]
                    edges = _edges(job, spaces.get(job.optimizer, {}))
                    best[job.setting, budget] = _winner(group, cell, job, budget, spent, edges)
    order = {setting: place for place, setting in enumerate(of_setting)}
    return sorted(best.values(), key=lambda w: (order[w.setting], w.budget))


def _winner(
    group: str,
    cell: Cell,
    job: Job,
    budget: int,
    spent: Sequence[RunRecord],
    edges: tuple[str, ...],
) -> Winner:
    rows = [record.result.row_gradients for record in spent]
    return Winner(
        group=group,
        metric=cell.metric,
        optimizer=job.optimizer,
        setting=job.setting,
        budget=budget,
        trial=job.trial,
        drawn=job.drawn,
        tuned=cell.val.mean,
        runs=len(spent),
        row_gradients=None if None in rows else sum(row for row in rows if row is not None),
        misses=sum(record.result.status != DONE for record in spent),
        edges=edges,
    )


def _edges(job: Job, space: Mapping[str, Interval]) -> tuple[str, ...]:
    drawn = (word.removeprefix("optimizer.").split("=") for word in job.drawn)
    return tuple(option for option, value in drawn if space[option].is_at_edge(float(value)))


def scores(winner: Winner, records: Iterable[RunRecord]) -> tuple[float, ...]:
    """Return a winner's metric in each of its runs on fresh seeds."""
    return tuple(score(record, "val", winner.metric) for record in records)


def targets(judged: Iterable[Winner], baselines: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the target of every group: the best median over reruns that a baseline's winner has.

    Of each baseline the winner of its largest budget counts. A group without a baseline has no
    target, nor has one in which the best median is no number.
    """
    found: dict[str, dict[str, Any]] = {}
    largest = {(w.setting, w.group): w for w in judged if w.optimizer in baselines and w.scores}
    for (_, group), winner in largest.items():
        value = float(np.median(winner.scores))
        if not math.isfinite(value):
            continue
        known = found.get(group)
        sign = -1 if winner.metric == "loss" else 1
        if known is None or sign * value > sign * known["value"]:
            source = (
                f"the median over {len(winner.scores)} fresh seeds of the best baseline, "
                f"{winner.optimizer} ({winner.values})"
            )
            found[group] = {"metric": winner.metric, "value": value, "from": source}
    return found
