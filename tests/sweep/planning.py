"""Runs of a sweep that is only planned, composed once and changed by hand."""

import copy
from pathlib import Path

from optlab.sweep.planned import PlannedRun
from tests.sweep.composing import configuration


def planned(number=0, *overrides, composed_for="blobs", **changed):
    """Return a run; ``changed`` holds values by dotted option, with ``__`` for the dot."""
    config = configuration(*overrides, task=composed_for)
    config.pop("sweep")
    for key, value in changed.items():
        section, _, option = key.partition("__")
        if option:
            config[section][option] = value
        else:
            config[section] = copy.deepcopy(value)
    return PlannedRun(number, (), config, Path("sweep", f"run{number}"))


def planned_all(*changes):
    """Return a run for each mapping of changes, numbered in order."""
    return [planned(i, **changed) for i, changed in enumerate(changes)]
