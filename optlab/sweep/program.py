"""A plan of a sweep: programs, each of runs that can train as one. Imports no torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from optlab.sweep.engine import Engine
from optlab.sweep.planned import PlannedRun


@dataclass(frozen=True)
class Footprint:
    """Memory of a program's runs, in bytes.

    Attributes:
        run: What every run of an array adds, at most.
        shared: What an array has once: the data, and what runs use in turns.
        weights: Of a run's parameters and buffers.
    """

    run: int
    shared: int
    weights: int = 0

    def of(self, num_runs: int) -> int:
        """Return the bytes of an array."""
        return self.shared + num_runs * self.run

    def most(self, budget: int) -> int:
        """Return how many runs fit into a budget, at least one."""
        return max(1, (budget - self.shared) // max(self.run, 1))


@dataclass(frozen=True)
class Program:
    """Runs that share everything that a step's program depends on.

    Attributes:
        number: From 1, in the order of the programs' first runs.
        runs: In the order of their numbers.
        engine: What trains them.
        apart: Dotted options in which the programs of the plan differ, with this one's values;
            why no other program has these runs.
        arrays: Runs that train together, array after array; together they are all of ``runs``.
        footprint: Memory of the runs; None where nobody stacks them.
        updates: Those of one run; None where nobody has counted them.
        reason: Why they train singly; empty where they do not.
    """

    number: int
    runs: tuple[PlannedRun, ...]
    engine: Engine
    apart: Mapping[str, Any]
    arrays: tuple[int, ...]
    footprint: Footprint | None = None
    updates: int | None = None
    reason: str = ""

    def array(self, index: int) -> tuple[PlannedRun, ...]:
        """Return the runs of an array."""
        start = sum(self.arrays[:index])
        return self.runs[start : start + self.arrays[index]]

    def singly(self, reason: str) -> "Program":
        """Return the program with its runs trained one by one, and why."""
        arrays = (1,) * len(self.runs)
        return replace(self, engine="single", arrays=arrays, footprint=None, reason=reason)


@dataclass(frozen=True)
class Plan:
    """How the runs of a sweep are trained.

    Attributes:
        programs: In the order of their first runs.
    """

    programs: tuple[Program, ...]

    @property
    def num_runs(self) -> int:
        """Runs of all programs."""
        return sum(len(program.runs) for program in self.programs)


def array_sizes(num_runs: int, most: int, least_arrays: int = 1) -> tuple[int, ...]:
    """Return the sizes of arrays of at most ``most`` runs, as equal as can be, larger ones first.

    Args:
        num_runs: Runs to divide, at least 1.
        most: Runs of an array, at least 1.
        least_arrays: How many arrays to make where there are so many runs.
    """
    count = max(math.ceil(num_runs / most), min(least_arrays, num_runs))
    size, larger = divmod(num_runs, count)
    return (size + 1,) * larger + (size,) * (count - larger)
