"""Cells of a sweep in order of merit: runs that differ only in their seed, summed up and ranked.

Rules:
    * A cell is chosen by the mean of its runs' validation accuracy, or of their validation loss
      where not every run of the task has an accuracy. The test split is shown and never chosen by.
    * A run that diverged or failed, or whose value is not finite, scores the worst there is:
      accuracy 0, or an infinite loss. It cannot help its cell, and it is never dropped. Equal means
      are told apart by fewer such runs, then by the loss of the others.
    * Where no run of comparable cells is done, there is nothing to rank.
    * An interrupted run says nothing about its method. It is counted and not scored.
    * The same run found twice counts once: copies would narrow the interval.
    * Ranks start anew where values cannot be compared: in every task and, ranking by loss, for
      every loss function.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from optlab.config import ConfigError
from optlab.identity import OUTCOME_FREE, config_hash
from optlab.records import RunRecord, varying
from optlab.report.cells import (
    ACCURACY,
    ENDS,
    LOSS,
    TASK,
    Cell,
    Estimate,
    Ranking,
    arranged,
    group_of,
    identity,
    labels,
    merit,
)
from optlab.report.phrases import AMSGRAD, OPTIMIZER, TARGET
from optlab.statistics.intervals import iqm, mean_interval, share_interval

UNTOLD = {"seed", "plugins"}  # make no cell: one is averaged over, the other only adds names


def rank(records: Sequence[RunRecord], best_losses: Mapping[Path, float] | None = None) -> Ranking:
    """Group runs into cells and rank them.

    Args:
        records: Ended runs.
        best_losses: Lowest validation loss by run folder; the final one where it is not known.

    Raises:
        ConfigError: When there are no runs.
    """
    if not records:
        raise ConfigError("no ended run to rank: train at least one first")
    keys = _keys(records)
    members = list(by_cell(records, keys).values())
    values = [_key(runs[0], keys) for runs in members]
    metrics = _metrics(values, members)
    cells = [
        _cell(key, metric, label, runs, best_losses or {})
        for key, metric, label, runs in zip(
            values, metrics, labels(values, metrics), members, strict=True
        )
    ]
    ordered = [c for c, _ in sorted(zip(cells, members, strict=True), key=lambda p: _merit(*p))]
    places: dict[str, count[int]] = defaultdict(lambda: count(1))
    known = {group_of(c.key, c.metric) for c in cells if c.done}
    ranked = [
        replace(c, rank=next(places[group]) if group in known else 0)
        for c, group in ((c, group_of(c.key, c.metric)) for c in ordered)
    ]
    return arranged(keys, ranked)


def by_cell(records: Iterable[RunRecord], keys: Sequence[str]) -> dict[str, list[RunRecord]]:
    """Return the runs of each cell by the identity of its key, each run once."""
    members: dict[str, list[RunRecord]] = defaultdict(list)
    for run in _unique(records):
        members[identity(_key(run, keys))].append(run)
    return members


def score(record: RunRecord, split: str, metric: str) -> float:
    """Return a run's value, the worst possible one unless it is done and finite."""
    worst = 0.0 if metric == ACCURACY else math.inf
    value = float(getattr(record.result, split).get(metric, math.nan))
    return value if record.result.status == "done" and math.isfinite(value) else worst


def estimate(values: Sequence[float], metric: str = LOSS) -> Estimate:
    """Return what independent values of a metric are on average: see `Estimate`."""
    own = np.array(values, dtype=np.float64)
    if not len(own):
        return Estimate(*[math.nan] * 4)
    mean = share_interval(own) if metric == ACCURACY else mean_interval(own)
    is_spread = len(own) > 1 and math.isfinite(mean.estimate)
    std = float(np.std(own, ddof=1)) if is_spread else math.nan
    return Estimate(mean.estimate, std, mean.low, mean.high, float(iqm(own)))


def _keys(records: Sequence[RunRecord]) -> list[str]:
    """Return the keys of cells in order; with optimizer and task a table says what it is about."""
    named = {key for key in (OPTIMIZER, TASK) if any(key in run.options for run in records)}
    named |= {key for key in (TARGET, AMSGRAD) if any(run.options.get(key) for run in records)}
    told = {key for key in varying(records) if key not in UNTOLD}
    return sorted(named | told, key=_column)


def _key(record: RunRecord, keys: Sequence[str]) -> dict[str, Any]:
    return {name: record.options.get(name) for name in keys}


def _unique(records: Iterable[RunRecord]) -> list[RunRecord]:
    """Keep one record of each run: one that ended by itself, and of those the last started."""
    order = sorted(records, key=lambda r: (r.result.status != "interrupted", r.result.started))
    without = OUTCOME_FREE | {"plugins"}
    return list({config_hash(record.config, without): record for record in order}.values())


def _metrics(
    values: Sequence[Mapping[str, Any]], members: Sequence[Sequence[RunRecord]]
) -> list[str]:
    """Return the metric of each cell, the same for all cells of a task."""
    tasks = [group_of(key, ACCURACY) for key in values]
    done: dict[str, list[RunRecord]] = defaultdict(list)
    for task, runs in zip(tasks, members, strict=True):
        done[task] += [run for run in runs if run.result.status == "done"]
    measured = {
        t for t, runs in done.items() if runs and all(ACCURACY in r.result.val for r in runs)
    }
    return [ACCURACY if task in measured else LOSS for task in tasks]


def _cell(
    key: Mapping[str, Any],
    metric: str,
    label: str,
    runs: Sequence[RunRecord],
    best_losses: Mapping[Path, float],
) -> Cell:
    scored = [run for run in runs if run.result.status != "interrupted"]
    done = [run for run in scored if run.result.status == "done"]
    final = {run.folder: score(run, "val", LOSS) for run in scored}
    lowest = [min(best_losses.get(folder, math.inf), loss) for folder, loss in final.items()]
    has_test = bool(done) and all(metric in run.result.test for run in done)
    return Cell(
        rank=0,
        key=key,
        metric=metric,
        label=label,
        runs=len(runs),
        ends={end: sum(run.result.status == end for run in runs) for end in ENDS},
        val=_over_seeds(scored, "val", metric),
        test=_over_seeds(scored, "test", metric) if has_test else estimate([]),
        best_loss=estimate(lowest).mean,
        final_loss=estimate(list(final.values())).mean,
        verdicts=_verdicts(runs),
    )


def _verdicts(runs: Sequence[RunRecord]) -> dict[str, float]:
    """Return the share of runs that have each verdict, the most frequent first."""
    counts = Counter(verdict.name for run in runs for verdict in run.result.verdicts)
    return {name: count / len(runs) for name, count in counts.most_common()}


def _over_seeds(records: Sequence[RunRecord], split: str, metric: str) -> Estimate:
    whole = estimate([score(record, split, metric) for record in records], metric)
    if not any(record.result.status == "done" for record in records):
        # Only substitutes: their spread of zero is no measurement.
        return Estimate(whole.mean, math.nan, math.nan, math.nan, whole.iqm)
    return whole


def _column(key: str) -> tuple[bool, str, bool, str]:
    """Order keys by section, the optimizer first and in each section its name."""
    section = key.split(".")[0]
    return section != "optimizer", section, not key.endswith(".name"), key


def _merit(cell: Cell, runs: Sequence[RunRecord]) -> tuple[bool, float, float, float, str]:
    """Return what cells are sorted by, the lowest first."""
    losses = [score(run, "val", LOSS) for run in runs if run.result.status != "interrupted"]
    survivors = [loss for loss in losses if math.isfinite(loss)]
    return (
        math.isnan(cell.val.mean),  # only interrupted runs
        merit(cell),
        (len(losses) - len(survivors)) / max(len(losses), 1),
        float(np.mean(survivors)) if survivors else math.inf,
        cell.label,
    )
