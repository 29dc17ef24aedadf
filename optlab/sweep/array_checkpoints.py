"""Checkpoints of a sweep's arrays: which of its runs go on from which of them."""

import hashlib
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from optlab.results import write_atomic
from optlab.sweep.planned import PlannedRun
from optlab.sweep.run_folder import CHECKPOINTS
from optlab.train.checkpoint import Checkpoints

RUNS_FILE = "runs.txt"


@dataclass(frozen=True)
class Start:
    """Where some runs begin.

    Attributes:
        runs: The runs.
        checkpoints: Where it is kept how far they are; None where they begin anew.
        places: Which of the runs there they are.
    """

    runs: Sequence[PlannedRun]
    checkpoints: Checkpoints | None = None
    places: tuple[int, ...] = ()

    def only(self, numbers: Collection[int]) -> "Start":
        """Return the same of some runs."""
        kept = [i for i, run in enumerate(self.runs) if run.number in numbers]
        places = tuple(self.places[i] for i in kept) if self.places else ()
        return Start([self.runs[i] for i in kept], self.checkpoints, places)


class ArrayCheckpoints:
    """The checkpoints of all arrays of a sweep, each in a folder of its own.

    An array that stopped need not come together again as it was: its runs may be claimed in
    parts, or be joined by others. Those that a checkpoint holds go on from it together.

    Args:
        sweep: The sweep's folder.
    """

    def __init__(self, sweep: Path) -> None:
        self._folder = sweep / CHECKPOINTS

    def of(self, runs: Sequence[PlannedRun]) -> Checkpoints:
        """Return where an array keeps its checkpoints."""
        return Checkpoints(self._folder / _key([run.identity for run in runs]))

    def note(self, runs: Sequence[PlannedRun]) -> None:
        """Note which runs an array's checkpoints are of, before the first of them."""
        path = self.of(runs).folder / RUNS_FILE
        if not path.exists():
            write_atomic(path, "\n".join(run.identity for run in runs).encode())

    def starts(self, runs: Sequence[PlannedRun]) -> list[Start]:
        """Return where runs begin: those that stopped together in one go, the others in another."""
        found, left = [], {run.identity: run for run in runs}
        for checkpoints in self._all():
            held = _identities(checkpoints)
            if not left.keys() & set(held):
                continue
            places = tuple(i for i, identity in enumerate(held) if identity in left)
            own = [left.pop(held[place]) for place in places]
            found.append(Start(own, checkpoints, places))
        anew = [Start(list(left.values()))] if left else []
        return [*found, *anew]

    def keep(self, wanted: Collection[str]) -> None:
        """Remove what is of no run among ``wanted``, by identity."""
        for checkpoints in self._all():
            if not set(wanted) & set(_identities(checkpoints)):
                checkpoints.remove()
        if self._folder.is_dir() and not any(self._folder.iterdir()):
            shutil.rmtree(self._folder, ignore_errors=True)

    def _all(self) -> list[Checkpoints]:
        """Return those of every array, the furthest first: of runs in several they say the most."""
        found = [Checkpoints(path.parent) for path in self._folder.glob(f"*/{RUNS_FILE}")]
        return sorted(found, key=lambda checkpoints: checkpoints.updates, reverse=True)


def _identities(checkpoints: Checkpoints) -> list[str]:
    try:
        return (checkpoints.folder / RUNS_FILE).read_text().split()
    except FileNotFoundError:  # another process has ended its array meanwhile
        return []


def _key(identities: Sequence[str]) -> str:
    return hashlib.blake2b("\n".join(identities).encode(), digest_size=8).hexdigest()
