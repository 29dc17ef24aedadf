"""What is compared with what: the best of each optimizer, and all that was tried for it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from optlab.identity import flatten
from optlab.report.cells import Cell, best_by_optimizer, group_of, identity
from optlab.report.evidence import Evidence
from optlab.report.phrases import optimizer_name

Key = Mapping[str, Any]

#: Optimizers whose batches are what they are called by; beside them no size is equal.
OWN_BATCHES = ("batch_gd", "sgd", "minibatch_gd")
SAMPLER = "trainer.sampler"
#: Names in a sentence.
MOST_NAMED = 3


def compared(evidence: Evidence) -> dict[str, dict[str, Cell]]:
    """Return the cells that a reader compares, by group and name, where there are several.

    They are the best one of each optimizer; where there is but one optimizer, all of its cells.
    """
    found: dict[str, dict[str, Cell]] = {}
    for group, cells in evidence.ranking.ranked.items():
        own = best_by_optimizer(cells)
        names = own if len(own) > 1 else {cell.label: cell for cell in cells}
        if len(names) > 1:
            found[group] = names
    return found


def tried(evidence: Evidence, group: str) -> dict[str, list[Key]]:
    """Return the keys of a group's cells by optimizer, missing runs included."""
    cells = evidence.ranking.groups[group]
    keys = [cell.key for cell in cells]
    keys += [key for key, _ in missing(evidence) if group_of(key, cells[0].metric) == group]
    found: dict[str, dict[str, Key]] = defaultdict(dict)
    for key in keys:
        found[optimizer_name(key)].setdefault(identity(key), key)
    return {name: list(own.values()) for name, own in found.items()}


def seeds(evidence: Evidence) -> dict[str, set[int]]:
    """Return the seeds of each cell by the identity of its key, missing runs included.

    That runs are missing is an objection of its own.
    """
    found: dict[str, set[int]] = defaultdict(set)
    for name, runs in evidence.runs.items():
        found[name] |= {run.result.seed for run in runs if run.result.seed is not None}
    for key, seed in missing(evidence):
        found[identity(key)] |= {seed} if isinstance(seed, int) else set()
    return found


def missing(evidence: Evidence) -> Iterator[tuple[Key, Any]]:
    """Yield key and seed of each run that a sweep is still to train."""
    for sweep in evidence.sweeps:
        for run in sweep.missing:
            options = flatten(run.config)
            yield {name: options.get(name) for name in evidence.ranking.keys}, options.get("seed")


def on(*groups: str) -> str:
    """Return where something is so: `` on digits``, `` on 3 tasks``, nothing where all is one."""
    if len(groups) > 1:
        return f" on {len(groups)} tasks"
    return f" on {groups[0]}" if groups and groups[0] else ""
