"""Runs in memory, from nothing but their validation values."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from optlab.records import RunRecord
from optlab.report.evidence import Evidence
from optlab.report.ranking import rank
from optlab.results import RunResult


def trial(
    optimizer: str, value: float, seed: int, *, lr: float = 0.1, task: str = "digits", by: str
) -> RunRecord:
    """Return a run that ended with a validation value; an infinite one diverged."""
    folder = Path(f"{task}/{optimizer}/{lr}/{seed}")
    config = {
        "seed": seed,
        "task": {"name": task},
        "optimizer": {"name": optimizer, "lr": lr},
    }
    result = RunResult(
        name=str(folder),
        status="done" if math.isfinite(value) else "diverged",
        updates=1,
        epochs=1.0,
        train={},
        val={"loss": 1.0, by: value},
        test={},
        total_s=1.0,
        training_s=1.0,
        config_hash=str(folder),
        seed=seed,
        device="a device",
        started="",
    )
    return RunRecord(config, result, folder)


def trials(
    values: Mapping[str, Sequence[float]],
    task: str = "digits",
    by: str = "accuracy",
    seeds: range | None = None,
) -> list[RunRecord]:
    """Return runs by method, such as ``"adam"`` or ``"adam 0.01"``, one for each seed."""
    records = []
    for method, own in values.items():
        optimizer, _, rate = method.partition(" ")
        for seed, value in zip(seeds or range(len(own)), own, strict=True):
            records.append(trial(optimizer, value, seed, lr=float(rate or 0.1), task=task, by=by))
    return records


def evidence(records: Sequence[RunRecord]) -> Evidence:
    return Evidence(records, rank(records))
