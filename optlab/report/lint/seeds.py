"""Whether methods ran with the same seeds, and with enough of them to tell them apart."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from optlab.report.cells import Cell, identity
from optlab.report.evidence import Evidence
from optlab.report.lint.compared import compared, on, seeds
from optlab.report.lint.lines import as_seeds, changed, extend
from optlab.report.lint.whole import whole_lines
from optlab.report.measures.pairs import LEVEL
from optlab.report.page import Objection
from optlab.report.sections.arrange import listed
from optlab.statistics.paired import pairs_needed

#: Seeds that a sentence names.
MOST_SEEDS = 9


@dataclass(frozen=True)
class _Sown:
    """The seeds of what is compared in one group.

    Attributes:
        group: Its name.
        of_cell: Seeds by what is compared.
        tests: Pairs that the report tests; of cells of one optimizer a reader tests at least one.
    """

    group: str
    of_cell: Mapping[str, set[int]]
    tests: int

    @property
    def shared(self) -> set[int]:
        return set.intersection(*self.of_cell.values())

    @property
    def all(self) -> set[int]:
        return set[int]().union(*self.of_cell.values())

    @property
    def is_unequal(self) -> bool:
        return self.shared != self.all

    @property
    def needed(self) -> int:
        """Seeds with which the surest of all differences is significant."""
        return pairs_needed(LEVEL / self.tests)


def unequal_seeds(evidence: Evidence) -> list[Objection]:
    """Object where the seeds of what is compared differ: only runs of one seed make a pair."""
    found = [sown for sown in _sown(evidence) if sown.is_unequal]
    if not found:
        return []
    of_cell, shared = found[0].of_cell, len(found[0].shared)
    most, fewest = (
        choose(of_cell, key=lambda name: (len(of_cell[name]), sorted(of_cell[name])))
        for choose in (max, min)
    )
    sentence = (
        f"Seeds differ{_where(found)}: {most} ran with {_told(of_cell[most])}, {fewest} with "
        f"{_told(of_cell[fewest])}; {_number(shared)} {'are' if shared > 1 else 'is'} common to "
        "all that is compared. Runs of one seed share weights and data order, and only they make "
        "pairs."
    )
    return [Objection("unequal_seeds", sentence, _command(evidence, found))]


def few_seeds(evidence: Evidence) -> list[Objection]:
    """Object where seeds are equal, and too few for any difference to be significant."""
    found = [s for s in _sown(evidence) if not s.is_unequal and len(s.all) < s.needed]
    if not found:
        return []
    one = min(found, key=lambda sown: len(sown.all) - sown.needed)
    times = f"{one.tests} pairs (Holm)" if one.tests > 1 else "one pair"
    sentence = (
        f"{_number(len(one.all)).capitalize()}{_where(found)}: no difference can be significant. "
        f"A paired test of {times} takes at least {one.needed} seeds to reach p <= {LEVEL}."
    )
    return [Objection("few_seeds", sentence, _command(evidence, found))]


def _sown(evidence: Evidence) -> list[_Sown]:
    own = seeds(evidence)
    return [
        _Sown(
            group,
            {name: own[identity(cell.key)] for name, cell in cells.items()},
            math.comb(len({cell.optimizer for cell in cells.values()}), 2) or 1,
        )
        for group, cells in compared(evidence).items()
        if not all(_is_exact(evidence, cell) for cell in cells.values())
    ]


def _is_exact(evidence: Evidence, cell: Cell) -> bool:
    """Say whether nothing in a cell's runs hangs on the seed: a test function without noise."""
    options = evidence.runs[identity(cell.key)][0].options
    return options.get("model.name") == "point" and not options.get("task.noise")


def _command(evidence: Evidence, found: Iterable[_Sown]) -> str:
    """Return what gives every cell all seeds, and the next whole numbers up to what is needed."""
    own = list(found)
    wanted = set[int]().union(*(sown.all for sown in own))
    lacking = max(0, max(sown.needed for sown in own) - len(wanted))
    following = max(wanted, default=-1) + 1
    word = {"seed": as_seeds(wanted | set(range(following, following + lacking)))}
    return extend((folder, changed(line, word)) for folder, line in whole_lines(evidence))


def _where(found: Iterable[_Sown]) -> str:
    return on(*(sown.group for sown in found))


def _told(own: set[int]) -> str:
    return f"{_number(len(own))} ({listed([str(seed) for seed in sorted(own)], MOST_SEEDS)})"


def _number(count: int) -> str:
    return "no seed" if not count else f"{count} seed{'s' if count > 1 else ''}"
