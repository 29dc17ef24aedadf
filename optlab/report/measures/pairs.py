"""Optimizers of one task against each other: their best cells, run by run with the same seed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from optlab.report.cells import ACCURACY, Cell, best_by_optimizer
from optlab.report.evidence import Evidence
from optlab.report.measures.seedless import is_seedless
from optlab.report.ranking import score
from optlab.statistics.improvement import improvement
from optlab.statistics.intervals import Interval, mean_interval
from optlab.statistics.multiplicity import holm
from optlab.statistics.paired import (
    differences,
    pairs_needed,
    rounding,
    sign_flip_p,
    smallest_p,
    wilcoxon_p,
)

Array = npt.NDArray[np.float64]

LEVEL = 0.05  # a difference with a p-value of at most this holds
Scores = Mapping[int, float]  # by seed, the lowest best


@dataclass(frozen=True)
class Comparison:
    """The best cell of an optimizer, behind the best cell of all.

    Attributes:
        optimizer: Its name.
        cell: Its best cell.
        pairs: Number of seeds that both ran with.
        behind: By how much it is worse, in the metric, over these seeds.
        p: Of the permutation test of the pairs.
        p_holm: The same after Holm's correction over all pairs of optimizers in the task.
        p_wilcoxon: Of Wilcoxon's signed-rank test of the pairs, uncorrected.
        beaten: Probability that a run of the best cell of all beats one of this cell.
    """

    optimizer: str
    cell: Cell
    pairs: int
    behind: Interval
    p: float
    p_holm: float
    p_wilcoxon: float
    beaten: Interval

    @property
    def holds(self) -> bool:
        """Whether the lead of the best is more than the luck of seeds.

        Not where it is itself behind on the seeds that are compared, which may be few of its own.
        """
        return self.p_holm <= LEVEL and not self.behind.estimate < 0


@dataclass(frozen=True)
class Contest:
    """The optimizers of one task.

    Attributes:
        group: The task; "" where there is but one.
        best: The best cell of all.
        others: The other optimizers, the best first.
        choices: The most cells that one optimizer's best was picked from.
        is_fresh: Whether all pairs are of seeds on which no other cell ran, so nothing was picked.
        is_seedless: Whether seeds change nothing in any of the best cells, so pairs are copies of
            one pair, and p-values of them mean nothing.
    """

    group: str
    best: Cell
    others: tuple[Comparison, ...]
    choices: int
    is_fresh: bool
    is_seedless: bool

    @property
    def tests(self) -> int:
        """Number of pairs of optimizers, each of them a test."""
        return len(self.others) * (len(self.others) + 1) // 2

    @property
    def pairs(self) -> int:
        """The most seeds that some comparison has."""
        return max(other.pairs for other in self.others)

    @property
    def pairs_needed(self) -> int:
        """How many seeds it takes at least for a difference that holds."""
        return pairs_needed(LEVEL / self.tests)

    @property
    def can_show(self) -> bool:
        """Whether any difference could hold with so many seeds."""
        return smallest_p(self.pairs) * self.tests <= LEVEL


def contests(evidence: Evidence) -> list[Contest]:
    """Return the contest of each task in which two optimizers or more were ranked."""
    ranked = evidence.ranking.ranked
    found = {group: best_by_optimizer(cells) for group, cells in ranked.items()}
    return [
        _contest(evidence, group, best, ranked[group])
        for group, best in found.items()
        if len(best) > 1
    ]


def scores(evidence: Evidence, cell: Cell) -> dict[int, float]:
    """Return a cell's validation values by seed, turned so that the lowest is best."""
    sign = -1.0 if cell.metric == ACCURACY else 1.0
    return {
        run.result.seed or 0: sign * score(run, "val", cell.metric) for run in evidence.of(cell)
    }


def _contest(
    evidence: Evidence, group: str, best: Mapping[str, Cell], cells: Sequence[Cell]
) -> Contest:
    values = {name: scores(evidence, cell) for name, cell in best.items()}
    unpicked = [cell for cell in cells if cell not in best.values()]
    fresh = _without(values, {seed for cell in unpicked for seed in scores(evidence, cell)})
    is_fresh = all(len(own) > 1 for own in fresh.values())
    used = fresh if is_fresh else values
    first, *others = best
    p = p_values(used)
    behind = tuple(_comparison(n, best[n], used[first], used[n], *p[first, n]) for n in others)
    choices = max(sum(cell.optimizer == name for cell in cells) for name in best)
    is_same = all(is_seedless(evidence, cell) for cell in best.values())
    return Contest(group, best[first], behind, choices, is_fresh, is_same)


def _without(values: Mapping[str, Scores], seeds: set[int]) -> dict[str, dict[int, float]]:
    return {
        name: {seed: value for seed, value in own.items() if seed not in seeds}
        for name, own in values.items()
    }


def p_values(values: Mapping[str, Scores]) -> dict[tuple[str, str], tuple[float, float]]:
    """Return p-values of all pairs of optimizers, bare and after Holm's correction.

    All, and not only those with the best one: which one is the best was seen on the same runs, and
    with ten seeds and nine optimizers that are alike, the best would differ from some other in one
    case of eight if only its own tests were corrected for.
    """
    names = list(combinations(values, 2))
    pairs = [_paired(values[a], values[b]) for a, b in names]
    bare = np.array([sign_flip_p(differences(*pair), rounding(*pair)) for pair in pairs])
    adjusted = holm(bare)
    return {pair: (float(p), float(q)) for pair, p, q in zip(names, bare, adjusted, strict=True)}


def _paired(first: Scores, second: Scores) -> tuple[Array, Array]:
    """Return the values of both at the seeds that both have."""
    seeds = sorted(first.keys() & second.keys())
    return np.array([first[s] for s in seeds]), np.array([second[s] for s in seeds])


def _comparison(
    optimizer: str, cell: Cell, best: Scores, own: Scores, p: float, p_holm: float
) -> Comparison:
    pair = _paired(own, best)
    behind = differences(*pair)
    return Comparison(
        optimizer,
        cell,
        len(behind),
        _mean(behind, rounding(*pair)),
        p,
        p_holm,
        wilcoxon_p(behind, rounding(*pair)),
        improvement([np.array([*best.values()])], [np.array([*own.values()])]),
    )


def _mean(behind: Array, moved: Array) -> Interval:
    """Return the mean difference; without an interval where only rounding sets them apart."""
    found = mean_interval(behind)
    if len(behind) and np.isfinite(behind).all() and np.ptp(behind) <= 2 * moved.max():
        return Interval(found.estimate, math.nan, math.nan)
    return found
