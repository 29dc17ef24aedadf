"""The value that counts as solved in each task, and when each run first had it."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl

from optlab.config import ConfigError
from optlab.records import RunRecord
from optlab.report.cells import ACCURACY, LOSS, Cell
from optlab.report.charts import Array
from optlab.report.evidence import Evidence
from optlab.report.measures.effort import Unit, per_update
from optlab.report.ranking import score

#: Whose best sets a target, as far as they are there: what others are meant to replace.
BASELINES = ("adamw", "nadamw", "adam", "nag", "momentum", "sgd")
PROTOCOL_FILE = "protocol.json"


@dataclass(frozen=True)
class Target:
    """What a validation metric has to reach.

    Attributes:
        metric: ``"accuracy"``, reached from below, or ``"loss"``, from above.
        value: The value.
        origin: Where it comes from, in words.
    """

    metric: str
    value: float
    origin: str


@dataclass(frozen=True, eq=False)
class Reached:
    """When the runs of a cell first had a target.

    Attributes:
        runs: Those of which it is known, S.
        updates: The first update at which each was seen to have it, infinite for never, (S).
    """

    runs: Sequence[RunRecord]
    updates: Array

    @property
    def share(self) -> float:
        """Share of the runs that had it at some time, nan without runs."""
        return float(np.isfinite(self.updates).mean()) if len(self.runs) else math.nan

    def costs(self, unit: Unit) -> Array:
        """Return what it took each run, (S); nan for all where it is not known of each.

        Runs that ended before their first update are known to have taken forever.
        """
        rates = np.array(
            [per_update(run, unit) if run.result.updates else 0.0 for run in self.runs]
        )
        if np.isnan(rates).any():
            return np.full(len(self.runs), math.nan)
        found = np.full(len(self.runs), math.inf)
        np.multiply(self.updates, rates, out=found, where=np.isfinite(self.updates))
        return found

    def tells(self, unit: Unit) -> bool:
        """Say whether some run shows what an update costs in a unit, and none hides it."""
        made = any(run.result.updates for run in self.runs)
        return made and not math.isnan(self.median(unit))

    def median(self, unit: Unit) -> float:
        """Return the median over runs of what it took, those that never had it included."""
        costs = self.costs(unit)
        return math.nan if not len(costs) or np.isnan(costs).any() else float(np.median(costs))


def in_words(unit: Unit, amount: float) -> str:
    """Return an amount in a sentence: "1 epoch", "640 gradients of rows"."""
    words = "gradients of rows" if unit == "row gradients" else unit
    return f"{amount:,.4g} {words.removesuffix('s') if amount == 1 else words}"


def fair_unit(every: Iterable[Reached]) -> Unit:
    """Return the unit in which methods are compared: gradients of rows, as far as they are known.

    Updates of batches of different sizes are not alike, and neither are epochs of optimizers that
    evaluate twice.
    """
    known = all(not np.isnan(each.costs("row gradients")).any() for each in every)
    return "row gradients" if known else "epochs"


def targets(evidence: Evidence) -> dict[str, Target]:
    """Return the target of each group that has one.

    It is that of the protocol by which runs were made; else the median, over seeds, of the final
    validation metric of the best cell of a baseline, or of the best cell where there is none. A
    cell that is alone is no target for itself.

    Raises:
        ConfigError: When the record of a protocol cannot be read.
    """
    fixed = _fixed(evidence)
    found = {
        group: fixed.get(group) or _of_cells(evidence, cells)
        for group, cells in evidence.ranking.ranked.items()
    }
    return {group: target for group, target in found.items() if target is not None}


def reached(evidence: Evidence, targets: Mapping[str, Target]) -> dict[str, dict[int, Reached]]:
    """Return when the runs of each cell had the target of their group, by group and rank.

    A run that has it and diverges later has had it. One that failed before anything was recorded
    never had it; any other without a record is left out, as nobody knows. A group is left out where
    there is no record of any run.
    """
    recorded = {
        metric: evidence.rows(f"{metric}/val") for metric in {t.metric for t in targets.values()}
    }
    found = {
        group: {
            cell.rank: _reached(evidence.of(cell), recorded[target.metric], target)
            for cell in evidence.ranking.groups[group]
        }
        for group, target in targets.items()
    }
    return {group: own for group, own in found.items() if any(each.runs for each in own.values())}


def _reached(
    runs: Sequence[RunRecord], recorded: Mapping[Path, pl.DataFrame], target: Target
) -> Reached:
    known = [run for run in runs if run.folder in recorded or run.result.status == "failed"]
    return Reached(known, np.array([_first(recorded.get(run.folder), target) for run in known]))


def _first(rows: pl.DataFrame | None, target: Target) -> float:
    if rows is None:
        return math.inf
    values = rows["value"].to_numpy()
    has = values >= target.value if target.metric == ACCURACY else values <= target.value
    return float(rows["update"][int(has.argmax())]) if has.any() else math.inf


def _of_cells(evidence: Evidence, cells: Sequence[Cell]) -> Target | None:
    if len(cells) < 2:
        return None
    best = next((cell for cell in cells if cell.optimizer in BASELINES), cells[0])
    finals = [score(run, "val", best.metric) for run in evidence.of(best)]
    value = float(np.median(finals)) if finals else math.inf
    if not math.isfinite(value) or (best.metric == ACCURACY and value <= 0):
        return None
    whose = "the best baseline" if best.optimizer in BASELINES else "the best cell"
    return Target(best.metric, value, f"the median over seeds of {whose}, {best.label}")


def _fixed(evidence: Evidence) -> dict[str, Target]:
    """Return the targets of the protocols whose folders the runs lie in, by group."""
    folders = {place for run in evidence.records for place in (run.folder, *run.folder.parents[:3])}
    paths = {place / PROTOCOL_FILE for place in chain(folders, (s.folder for s in evidence.sweeps))}
    found: dict[str, Target] = {}
    for path in sorted(path for path in paths if path.is_file()):
        found |= _read(path)
    return found


def _read(path: Path) -> Mapping[str, Target]:
    try:
        table = json.loads(path.read_bytes()).get("targets", {})
        found = {
            str(group): Target(own["metric"], float(own["value"]), str(own["from"]))
            for group, own in table.items()
        }
        if unknown := {t.metric for t in found.values()} - {ACCURACY, LOSS}:
            raise ValueError(f"{', '.join(sorted(unknown))} is no metric")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(
            f"cannot read the targets in {str(path)!r} ({type(error).__name__}: {error}); restore "
            "the file, or move it away to have targets from the best baseline"
        ) from error
    return found
