"""Folders of event files as folders of runs: configuration, result and curves of each.

Nothing is written into what was given. The runs that are made of it are read like any others.
"""

import math
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from optlab.config import ConfigError
from optlab.identity import config_hash
from optlab.loggers.table import METRICS_FILE, SCHEMA
from optlab.report.foreign.configurations import configuration, with_methods, with_names, with_seeds
from optlab.report.foreign.gathering import ForeignRun, Points, foreign_runs
from optlab.report.foreign.tags import Mapped, mapped, sentences
from optlab.report.sections.arrange import listed
from optlab.report.text import plural
from optlab.results import CONFIG_FILE, RunResult, write_atomic, write_json, write_result
from optlab.sections import to_yaml

IMPORTED_FILE = "imported.json"  # says that a folder was made here, and of what

MOST_NAMED = 5  # folders in a sentence
EPOCH = "epoch"  # the tag under which writers note it, by step


@dataclass(frozen=True)
class Imported:
    """What was made.

    Attributes:
        folder: Of the runs.
        runs: How many.
        told: How tags were read, and what is to be known of it.
    """

    folder: Path
    runs: int
    told: tuple[str, ...]


def import_runs(
    logdir: Path, to: Path, metric: str | None = None, loss: str | None = None
) -> Imported:
    """Make a folder of runs of a folder of event files.

    Args:
        logdir: What TensorBoard is given as ``--logdir``.
        to: Folder for the runs; runs that were imported there before are replaced.
        metric: Tag of the validation accuracy, where its name does not say so.
        loss: Tag of the validation loss.

    Raises:
        ConfigError: When there is no event file, one is damaged, no tag is known, or ``to`` holds
            something else.
    """
    runs = foreign_runs(logdir)
    counts = Counter(tag for run in runs for tag in run.points)
    names = mapped(counts, metric, loss)
    runs, without = _judged(runs, names)
    percent = _percent(runs, names)
    configs = [configuration(run.name, run.hparams) for run in runs]
    folders = [run.name for run in runs]
    named = with_methods(configs, folders)
    numbered = with_seeds(configs)
    named += with_names(configs, folders)
    told = [f"{plural(len(runs), 'run')} of {logdir}", *sentences(names, counts)]
    if without:
        kind = plural(len(without), "folder")
        told.append(f"{kind} without any of these left out: {listed(without, MOST_NAMED)}")
    told += ["accuracies beyond 1 are read as percent"] * bool(percent)
    told += [f"{numbered} runs without a seed are numbered by name"] * bool(numbered)
    if named:
        told.append(
            f"{named} runs are told apart by their folders: others have the same options and seed"
        )
    if any(EPOCH not in run.points for run in runs):
        told.append("a step is taken for an epoch, as no tag says which is which")
    _clear(to)
    write_json(to / IMPORTED_FILE, {"logdir": str(logdir), "tags": names.names, "told": told})
    for run, config in zip(runs, configs, strict=True):
        _write(to / run.name, run, config, names, percent)
    return Imported(to, len(runs), tuple(told))


def _judged(runs: Sequence[ForeignRun], names: Mapped) -> tuple[list[ForeignRun], list[str]]:
    """Return the runs that have a loss or an accuracy, and the names of the others."""
    tags = {tag for tag, name in names.names.items() if "/" in name}
    kept = [run for run in runs if tags & set(run.points)]
    return kept, [run.name for run in runs if not tags & set(run.points)]


def _percent(runs: Sequence[ForeignRun], names: Mapped) -> bool:
    """Return whether accuracies are given in percent.

    Raises:
        ConfigError: When they are neither that nor shares.
    """
    tags = [tag for tag, name in names.names.items() if name.startswith("accuracy/")]
    values = [v for run in runs for tag in tags for *_, v in run.points.get(tag, ())]
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    if low < 0 or high > 100:
        raise ConfigError(
            f"an accuracy is a share of rows or percent, got {low:g} to {high:g} in "
            f"{', '.join(tags)}; name what is to be minimized with --loss TAG instead"
        )
    return high > 1


def _clear(to: Path) -> None:
    """Remove runs that were imported into a folder before.

    Raises:
        ConfigError: When it holds anything else.
    """
    if not to.exists() or (to.is_dir() and not any(to.iterdir())):
        return
    if not (to / IMPORTED_FILE).is_file():
        raise ConfigError(
            f"{str(to)!r} holds something else than imported runs; choose another --to"
        )
    shutil.rmtree(to)


def _write(
    folder: Path, run: ForeignRun, config: dict[str, Any], names: Mapped, percent: bool
) -> None:
    """Write a run's configuration, result and table."""
    curves = {names.names.get(tag, tag): points for tag, points in run.points.items()}
    if percent:
        curves = {tag: _shares(own) if _is_share(tag) else own for tag, own in curves.items()}
    write_atomic(folder / CONFIG_FILE, to_yaml(config).encode())
    table = _table(curves)
    folder.mkdir(parents=True, exist_ok=True)
    table.write_parquet(folder / METRICS_FILE)
    write_result(folder, _result(run.name, config, curves))


def _is_share(tag: str) -> bool:
    return tag.startswith("accuracy/")


def _shares(points: Points) -> Points:
    return [(step, at, value / 100) for step, at, value in points]


def _table(curves: Mapping[str, Points]) -> pl.DataFrame:
    """Return curves as `optlab.loggers.table` has them; of a step's values the last counts."""
    rows = [(step, at, tag, value) for tag, own in curves.items() for step, at, value in own]
    steps, times, tags, values = zip(*rows, strict=True)
    first = min(times)
    seconds = [at - first for at in times]
    columns = (steps, _epochs(steps, curves), seconds, tags, values)
    table = pl.DataFrame(dict(zip(SCHEMA, columns, strict=True)), schema=SCHEMA)
    return table.unique(["update", "tag"], keep="last", maintain_order=True)


def _epochs(steps: Sequence[int], curves: Mapping[str, Points]) -> list[float]:
    """Return the epoch of each step: as it was noted, or the step itself."""
    if not curves.get(EPOCH):
        return [float(step) for step in steps]
    noted = np.array(sorted((step, value) for step, _, value in curves[EPOCH]))
    found: list[float] = np.interp(np.array(steps), noted[:, 0], noted[:, 1]).tolist()
    return found


def _result(name: str, config: dict[str, Any], curves: Mapping[str, Points]) -> RunResult:
    """Return how a run ended: as diverged where what it is judged by is no number at last."""
    last = {tag: max(own, key=lambda point: point[0]) for tag, own in curves.items()}
    splits: dict[str, dict[str, float]] = {"train": {}, "val": {}, "test": {}}
    for tag, (_, _, value) in last.items():
        metric, _, split = tag.partition("/")
        if metric in ("loss", "accuracy") and split in splits:
            splits[split][metric] = value
    broken = [tag for tag in _JUDGED if tag in last and not math.isfinite(last[tag][2])]
    times = [at for own in curves.values() for _, at, _ in own]
    steps = max(step for step, _, _ in last.values())
    seconds = max(times) - min(times)
    return RunResult(
        name=name,
        status="diverged" if broken else "done",
        cause=f"{broken[0]} is {last[broken[0]][2]} at step {last[broken[0]][0]}"
        if broken
        else None,
        updates=steps,
        epochs=_epochs([steps], curves)[0],
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        total_s=seconds,
        training_s=seconds,
        config_hash=config_hash(config),
        seed=config["seed"],
        device="not noted",
        started=datetime.fromtimestamp(min(times), UTC).isoformat(timespec="seconds"),
    )


#: Tags that say by their last value whether a run diverged.
_JUDGED = ("loss/val", "accuracy/val", "loss/train")
