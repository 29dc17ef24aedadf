"""Runs and results for a ledger, made by hand, and processes that work on one."""

import subprocess
import sys
from pathlib import Path

from optlab.results import RunResult
from optlab.sweep.planned import PlannedRun
from optlab.sweep.run_folder import Grid

GRID = Grid(varied=("seed",), held=("task=xor",))
LINE = ["task=xor", "seed=range(0,4)"]


def planned(folder, seeds, **changes):
    """Return runs that differ in their seed, and in ``changes`` from those of other calls."""
    config = {"task": {"name": "xor"}, "optimizer": {"name": "adam", "lr": 0.001}, **changes}
    return [
        PlannedRun(
            number,
            ("task=xor", f"seed={seed}"),
            {**config, "seed": seed},
            Path(folder) / f"seed={seed}",
            frozenset({"task", "seed"}),
        )
        for number, seed in enumerate(seeds)
    ]


def ended(run, status="done", cause=None, loss=0.25):
    """Return a result of the run."""
    return RunResult(
        name=run.name,
        status=status,
        cause=cause,
        updates=100,
        epochs=2.5,
        best_epoch=2.0,
        train={"loss": loss},
        val={"loss": loss},
        test={"loss": loss},
        total_s=2.0,
        training_s=1.5,
        config_hash=run.identity,
        seed=run.config["seed"],
        device="a device",
        started="2026-11-20T17:00:00+00:00",
    )


def process(script, *arguments):
    """Start Python on a script that reads and prints lines."""
    words = [sys.executable, "-c", script, *map(str, arguments)]
    root = Path(__file__).parents[2]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, cwd=root)
