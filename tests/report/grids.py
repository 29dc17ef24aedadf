"""Grids of runs in memory, as a sweep would have left them."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from optlab.identity import config_hash
from optlab.records import Missing, RunRecord, SweepRecord
from optlab.report.evidence import Evidence
from optlab.report.ranking import rank
from optlab.results import RunResult

FOLDER = Path("runs/compare")


def config(
    optimizer: str = "adam", lr: float | None = 0.01, seed: int = 0, **more: Any
) -> dict[str, Any]:
    """Return a configuration; ``trainer__epochs=2`` is an option, ``task="blobs"`` a choice."""
    made: dict[str, Any] = {
        "seed": seed,
        "optimizer": {"name": optimizer} | ({} if lr is None else {"lr": lr}),
        "task": {"name": "blobs"},
        "model": {"name": "mlp"},
        "trainer": {"batch_size": 32, "epochs": 1, "eval_every": 1},
    }
    for key, value in more.items():
        section, _, option = key.partition("__")
        made[section] = {**made.get(section, {}), option or "name": value}
    return made


def run(accuracy: float = 0.9, status: str = "done", about: Any = None, **words: Any) -> RunRecord:
    """Return a run with a configuration of `config` and other fields of its result."""
    made = config(**words)
    name = ",".join(map(str, (status, *words.values())))
    fields: dict[str, Any] = {
        "updates": 10,
        "epochs": 1.0,
        "device": "a device",
        "commit": "0123456789",
        "dirty": False,
        "versions": {"torch": "2.11"},
        **(about or {}),
    }
    result = RunResult(
        name=name,
        status=status,
        train={},
        val={"loss": 1 - accuracy, "accuracy": accuracy} if status == "done" else {},
        test={},
        total_s=1.0,
        training_s=1.0,
        config_hash=config_hash(made),
        seed=made["seed"],
        started="2026-01-01T00:00:00+00:00",
        **fields,
    )
    return RunRecord(made, result, FOLDER / name)


def grid(
    optimizers: Iterable[str] = ("adam", "nag"),
    rates: Sequence[float] = (0.001, 0.01, 0.1),
    seeds: Iterable[int] = range(6),
    **more: Any,
) -> list[RunRecord]:
    """Return runs of every combination; the middle rate is the best."""
    best = rates[len(rates) // 2] if rates else 0.0
    return [
        run(0.9 - 0.1 * (lr != best) + 0.001 * seed, optimizer=name, lr=lr, seed=seed, **more)
        for name, lr, seed in itertools.product(optimizers, rates, seeds)
    ]


def evidence(
    runs: Sequence[RunRecord],
    *lines: str,
    missing: Iterable[Mapping[str, Any]] = (),
    state: str = "queued",
) -> Evidence:
    """Return what a report has of runs that some lines of ``optlab sweep`` left in `FOLDER`."""
    holes = tuple(Missing(own, state, FOLDER / f"hole_{i}") for i, own in enumerate(missing))
    sweep = SweepRecord(FOLDER, tuple(tuple(line.split()) for line in lines), holes)
    return Evidence(runs, rank(runs), [sweep] if lines or holes else [])
