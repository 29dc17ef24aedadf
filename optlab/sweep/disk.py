"""Whether a sweep's folder has room for what the sweep will write."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from optlab.config import ConfigError
from optlab.saying import warn
from optlab.sweep.plan_text import size
from optlab.sweep.planned import PlannedRun
from optlab.sweep.program import Plan
from optlab.sweep.settings import SweepSettings
from optlab.train.stack.distributions import cadence

#: Bytes of which a file takes a whole number, and so does a folder, on most file systems.
BLOCK = 4096
#: Of a value, as measured: in TensorBoard's file, and in the table.
VALUE_BYTES = {"tensorboard": 32, "table": 4}
#: At the beginning of TensorBoard's file: the run's configuration.
HEAD = 2_000
#: Of a look at weights and gradients of a small network.
HISTOGRAMS = 3_000
#: Of a run's record in the ledger.
RECORD = 2_000
#: Values of a record of the training loss, an evaluation, a look at norms and one at the flow, of a
#: small network; of a larger one there are more.
OF_TRAINING, OF_EVALUATION, OF_NORMS, OF_FLOW = 2, 2, 8, 4

#: Of the report at a sweep's end, which the runs do not need.
REPORT = 6_000_000
#: Times what is needed: with less than that left somebody should know.
AMPLE = 2


def refuse_full(
    folder: Path, plan: Plan, updates: Mapping[str, int], settings: SweepSettings
) -> None:
    """Refuse a sweep that would fill the disk, and warn of one that might.

    What is counted is certain to be written: large networks, checkpoints and other programs come
    on top, and the report at its end.

    Args:
        folder: The sweep's folder, which exists.
        plan: What will be trained.
        updates: Updates of every run by its name.
        settings: What the runs leave.

    Raises:
        ConfigError: With what is needed and what is free.
    """
    runs = [run for program in plan.programs for run in program.runs]
    weights = sum(len(p.runs) * p.footprint.weights for p in plan.programs if p.footprint)
    needed = needed_bytes(runs, updates, settings.tensorboard_runs)
    needed += 0 if settings.checkpoint == "none" else weights
    free = shutil.disk_usage(folder).free
    told = f"{len(runs)} runs write {size(needed)} or more, and {size(free)} are free in {folder}"
    remedy = "free some space, choose another sweep.dir, or write less (logger.tensorboard=false)"
    if free < needed:
        raise ConfigError(f"{told}; {remedy}")
    if free < AMPLE * needed + REPORT:
        warn(f"optlab sweep: {told}; with {size(REPORT)} of a report it may not suffice")
    _refuse_without_names(
        folder, 3 * len(runs) + len(_with_events(runs)[: settings.tensorboard_runs])
    )


def needed_bytes(
    runs: Sequence[PlannedRun], updates: Mapping[str, int], shown: int | None = None
) -> int:
    """Return the least bytes that runs leave on the disk.

    Args:
        runs: The runs.
        updates: Those of each by its name.
        shown: How many of them TensorBoard is given; None for all.
    """
    values = {run.name: _values(run, updates.get(run.name, 0)) for run in runs}
    found = len(runs) * (3 * BLOCK + RECORD)  # folder, configuration and result
    found += sum(VALUE_BYTES["table"] * values[r.name] for r in runs if r.config["logger"]["table"])
    for run in _with_events(runs)[:shown]:
        size_of_file = HEAD + VALUE_BYTES["tensorboard"] * values[run.name]
        size_of_file += HISTOGRAMS * _looks(run, updates.get(run.name, 0))
        found += -(-size_of_file // BLOCK) * BLOCK
    return found


def _with_events(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    return [run for run in runs if run.config["logger"]["tensorboard"]]


def _values(run: PlannedRun, updates: int) -> int:
    """Return how many values a run records at least, if it trains to its end."""
    trainer, diagnostics = run.config["trainer"], run.config["diagnostics"]
    values = OF_TRAINING * updates // trainer["log_every"]
    values += OF_EVALUATION * trainer["epochs"] // trainer["eval_every"]
    for option, count in (("every", OF_NORMS), ("flow_every", OF_FLOW)):
        values += count * updates // diagnostics[option] if diagnostics[option] else 0
    return int(values)


def _looks(run: PlannedRun, updates: int) -> int:
    """Return how often a run's weights and gradients are looked at, for histograms."""
    every = cadence(run.config["diagnostics"]["histograms_every"], updates)
    return 1 + updates // every if every else 0


def _refuse_without_names(folder: Path, files: int) -> None:
    """Refuse a sweep of more files than the file system has names for, where it has a limit."""
    if not hasattr(os, "statvfs"):
        return  # Windows
    found = os.statvfs(folder)
    if found.f_files and found.f_favail < files:
        raise ConfigError(
            f"the sweep makes {files:,} files and folders, and the file system of {folder} has "
            f"room for {found.f_favail:,} more; remove some, or choose another sweep.dir"
        )
