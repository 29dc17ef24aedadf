"""Whether methods ran with the same seeds, and with enough of them to tell them apart."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from optlab.report.cells import identity
from optlab.report.evidence import Evidence
from optlab.report.lint.compared import compared, on, seeds
from optlab.report.lint.lines import as_seeds, changed, extend
from optlab.report.lint.whole import whole_lines
from optlab.report.measures.pairs import LEVEL
from optlab.report.measures.seedless import is_seedless
from optlab.report.page import Objection
from optlab.report.sections.arrange import listed
from optlab.statistics.paired import pairs_needed

#: Seeds that a sentence names.
MOST_SEEDS = 9
#: Cells that a sentence names.
MOST_CELLS = 3


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


def lucky_cells(evidence: Evidence) -> list[Objection]:
    """Object where the best cell of an optimizer ran with fewer seeds than others of its cells.

    Cells are ordered by their means, and those over few seeds reach farther by luck alone. Where
    seeds of what is compared differ, that is an objection of its own.
    """
    found: list[_Sown] = []
    told: dict[str, str] = {}
    for sown in _sown(evidence):
        if not sown.is_unequal:
            for optimizer, own in _of_optimizers(evidence, sown).items():
                best, *others = own
                most = max(others, key=lambda label: len(own[label]), default=best)
                if len(own[most]) > len(own[best]):
                    found.append(_Sown(sown.group, own, sown.tests))
                    few, many = _number(len(own[best])), len(own[most])
                    told.setdefault(optimizer, f"{best} with {few}, of {most} there are {many}")
    if not found:
        return []
    sentence = (
        f"Best cells ran with fewer seeds than others{_where(found)}: "
        f"{listed([*told.values()], MOST_CELLS)}. A mean over fewer seeds hangs more on luck, and "
        "the best of several such is the luckiest."
    )
    return [Objection("lucky_cells", sentence, _command(evidence, found))]


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
        if not all(is_seedless(evidence, cell) for cell in cells.values())
    ]


def _of_optimizers(evidence: Evidence, sown: _Sown) -> dict[str, dict[str, set[int]]]:
    """Return the seeds of every cell by optimizer and label, the best cell first."""
    own = seeds(evidence)
    found: dict[str, dict[str, set[int]]] = {}
    for cell in evidence.ranking.groups[sown.group]:
        found.setdefault(cell.optimizer, {})[cell.label] = own[identity(cell.key)]
    return found


def _command(evidence: Evidence, found: Iterable[_Sown]) -> str:
    """Return what gives every cell all seeds, and the next whole numbers up to what is needed."""
    own = list(found)
    wanted = set[int]().union(*(sown.all for sown in own))
    lacking = max(0, max(sown.needed for sown in own) - len(wanted))
    following = max(wanted, default=-1) + 1
    word = {"seed": as_seeds(wanted | set(range(following, following + lacking)))}
    return extend((folder, changed(line, word)) for folder, line in whole_lines(evidence))


def _where(found: Iterable[_Sown]) -> str:
    return on(*dict.fromkeys(sown.group for sown in found))


def _told(own: set[int]) -> str:
    return f"{_number(len(own))} ({listed([str(seed) for seed in sorted(own)], MOST_SEEDS)})"


def _number(count: int) -> str:
    return "no seed" if not count else f"{count} seed{'s' if count > 1 else ''}"
