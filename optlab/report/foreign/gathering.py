"""Runs as event files tell them, put together from the folders that writers make of one run."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optlab.config import ConfigError
from optlab.report.foreign.event_reader import folders_with_events, read_folder
from optlab.report.foreign.tags import split_of

#: What `SummaryWriter.add_hparams` calls the folder that it makes in a run's: the time.
STAMP = re.compile(r"\d{9,}(\.\d+)?")

Points = Sequence[tuple[int, float, float]]


@dataclass
class ForeignRun:
    """A run as its event files tell it.

    Attributes:
        name: Its folder, seen from the one that was given.
        points: Step, seconds since 1970 and value, by tag.
        hparams: Hyperparameters by name.
    """

    name: str
    points: dict[str, Points] = field(default_factory=dict)
    hparams: dict[str, Any] = field(default_factory=dict)


def foreign_runs(logdir: Path) -> list[ForeignRun]:
    """Read every run below a folder; what writers spread over sub-folders is put together.

    Keras writes ``RUN/train`` and ``RUN/validation``, `SummaryWriter.add_hparams` a folder named by
    the time, and `SummaryWriter.add_scalars` a folder for each line of a chart.
    """
    runs: dict[str, ForeignRun] = {}
    for folder in folders_with_events(logdir):
        found = read_folder(folder)
        place, prefix = _place(folder, logdir, list(found.points), runs)
        name = place.relative_to(logdir).as_posix()
        run = runs.setdefault(name, ForeignRun(name))
        run.hparams |= found.hparams
        run.points |= {prefix.format(tag): own for tag, own in found.points.items() if own}
    if "." in runs:
        runs["."].name = _unused(logdir.resolve().name, runs)
    kept = [run for run in runs.values() if run.points]
    if not kept:
        raise ConfigError(
            f"no scalars of TensorBoard below {str(logdir)!r}: give what was its --logdir"
        )
    return kept


def _unused(name: str, runs: Mapping[str, ForeignRun]) -> str:
    """Return a name that no run has."""
    while name in runs:
        name += "_"
    return name


def _place(
    folder: Path, logdir: Path, tags: Sequence[str], runs: Mapping[str, ForeignRun]
) -> tuple[Path, str]:
    """Return the folder of the run that a folder belongs to, and what becomes of its tags."""
    if folder == logdir:
        return folder, "{}"
    if split_of(folder.name):
        return folder.parent, f"{{}}/{folder.name}"
    is_inside = folder.parent.relative_to(logdir).as_posix() in runs
    if is_inside and STAMP.fullmatch(folder.name):
        return folder.parent, "{}"
    chart = tags[0].replace("/", "_") + "_" if len(tags) == 1 else ""
    if is_inside and chart and folder.name.startswith(chart):
        return folder.parent, f"{{}}/{folder.name.removeprefix(chart)}"
    return folder, "{}"
