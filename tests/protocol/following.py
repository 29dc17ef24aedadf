"""Small protocols, runs made by hand, and lines that follow them."""

from pathlib import Path
from typing import Any

from optlab.cli import main
from optlab.identity import config_hash
from optlab.protocol.jobs import Job
from optlab.protocol.protocol import Protocol, read
from optlab.protocol.winners import Winner
from optlab.records import RunRecord
from optlab.results import RunResult
from tests.sweep.running import TINY

SPACES = {
    "optimizers": {
        "adam": {"lr": {"log": [1e-4, 1.0]}, "beta1": {"complement": [0.5, 0.999]}},
        "nag": {"lr": {"log": [1e-4, 1.0]}},
    }
}
CONTENT: dict[str, Any] = {
    "version": 1,
    "spaces": SPACES,
    "budgets": [1, 2, 4],
    "tuning_seeds": [0],
    "rerun_seeds": [7, 8],
    "schedules": ["constant"],
    "targets": {"baselines": ["nag"]},
}
OWN_FILE = """\
version: 1
spaces:
  optimizers:
    adam: {lr: {log: [1.0e-4, 1.0]}, beta1: {complement: [0.5, 0.999]}}
    nag: {lr: {log: [1.0e-4, 1.0]}}
budgets: [1, 2, 4]
tuning_seeds: [0]
rerun_seeds: [7, 8]
targets: {baselines: [nag]}
"""
LINE = ["protocol=own.yaml", "optimizer=adam,nag", *TINY, "sweep.dir=out"]


def protocol(**changes: Any) -> Protocol:
    """Return a small protocol with changes."""
    return read("own.yaml", {**CONTENT, **changes})


def own_protocol(folder: Path, text: str = OWN_FILE) -> None:
    """Write a small protocol, ``own.yaml``, into a folder."""
    (folder / "own.yaml").write_text(text)


def sweep(*words: str) -> int:
    """Run ``optlab sweep``."""
    return main(["sweep", *words])


def record_of(
    job: Job, value: float = 0.5, status: str = "done", task: str = "digits", metric="accuracy"
) -> RunRecord:
    """Return the record of a job that ended with a value."""
    options = dict(word.removeprefix("optimizer.").split("=") for word in job.drawn)
    own = {"name": job.optimizer, **{key: float(number) for key, number in options.items()}}
    others = {str(n): word for n, word in enumerate(job.setting) if word.startswith("schedule")}
    config = {"seed": job.seed, "optimizer": own, "task": {"name": task}, "schedule": others}
    result = RunResult(
        name="run",
        status=status,  # type: ignore[arg-type]
        updates=10,
        epochs=1.0,
        train={},
        val={metric: value, "loss": value} if status == "done" else {},
        test={},
        total_s=1.0,
        training_s=1.0,
        row_gradients=100,
        config_hash=config_hash(config),
        seed=job.seed,
        device="a device",
        started="2026-01-01T00:00:00+00:00",
    )
    return RunRecord(config, result, Path(f"{task}/{'_'.join(job.words)}"))


def winner(optimizer: str = "adam", budget: int = 4, **changes: Any) -> Winner:
    """Return a winner with changes."""
    values: dict[str, Any] = {
        "group": "digits",
        "metric": "accuracy",
        "optimizer": optimizer,
        "setting": (f"optimizer={optimizer}", "task=digits"),
        "budget": budget,
        "trial": 3,
        "drawn": ("optimizer.lr=0.01",),
        "tuned": 0.9,
        "runs": budget,
        "row_gradients": 100,
        "misses": 0,
        "scores": (0.8, 0.9),
    }
    return Winner(**{**values, **changes})
