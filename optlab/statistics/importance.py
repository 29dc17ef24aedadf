"""Which factor a result hangs on: shares of the variance of values over a grid of factors.

Values N, factors F.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Shares:
    """Shares of the variance of values; those of all factors, pairs and the rest add up to 1.

    Attributes:
        factors: Of each factor alone (its main effect), (F).
        pairs: Of what two factors do together beyond what each does alone, by their places.
        rest: What is left: seeds, and three and more factors together.
        chance: What each share of a factor would be at least expected to be if the factor did
            nothing and only the rest were noise, (F); nan where there is no rest to tell.
        pair_chance: The same of each pair.
        on_ranks: Whether shares are of the ranks of values, as some value was infinite.
    """

    factors: Array
    pairs: Mapping[tuple[int, int], float]
    rest: float
    chance: Array
    pair_chance: Mapping[tuple[int, int], float]
    on_ranks: bool


def variance_shares(levels: Codes, values: Array) -> Shares:
    """Return the functional ANOVA of values over a grid, up to pairs of factors.

    On a full, balanced grid these are the classical shares of sums of squares. On any other,
    effects are fitted by least squares, factors first and pairs to what these leave, and the
    shares are those of the fitted function over the full grid, every level equally often
    (Hutter, Hoos and Leyton-Brown 2014, with effects up to order two in the place of a forest).
    Where factors were only varied together, they share what they explain.

    Args:
        levels: Level of each factor, as numbers 0, 1, ..., (N, F).
        values: A value of each point, (N). Where some are infinite, the ranks of all are taken.

    Raises:
        ValueError: When a value is nan, or shapes do not fit.
    """
    if levels.ndim != 2 or values.shape != levels.shape[:1] or not len(values):
        raise ValueError(f"a value for each row of levels, got {values.shape} and {levels.shape}")
    if np.isnan(values).any():
        raise ValueError("values must not be nan: leave the points out, or score them the worst")
    on_ranks = bool(np.isinf(values).any())
    used = rankdata(values) if on_ranks else values.astype(np.float64)
    single = [(i,) for i in range(levels.shape[1])]
    double = list(combinations(range(levels.shape[1]), 2))
    rest = used - used.mean()
    mains, rest = _fit(levels, rest, single)
    joint, rest = _fit(levels, rest, double)
    _centre(mains, joint)
    parts = {key: float(np.mean(effect**2)) for key, effect in (mains | joint).items()}
    return _shares(levels, parts, rest, on_ranks)


def _fit(
    levels: Codes, values: Array, terms: Sequence[tuple[int, ...]]
) -> tuple[dict[tuple[int, ...], Array], Array]:
    """Return the effect of each term by the levels of its factors, and what they leave.

    Of all solutions it is the shortest one: where the grid does not tell effects apart, they share.
    """
    sizes = levels.max(axis=0) + 1
    shapes = {term: tuple(int(sizes[f]) for f in term) for term in terms}
    columns = [np.ravel_multi_index(tuple(levels[:, f] for f in t), shapes[t]) for t in terms]
    blocks = [np.eye(int(np.prod(shapes[t])))[c] for t, c in zip(terms, columns, strict=True)]
    if not blocks:
        return {}, values
    design = np.concatenate(blocks, axis=1)
    solution = np.linalg.lstsq(design, values, rcond=None)[0]
    ends = np.cumsum([block.shape[1] for block in blocks])[:-1]
    own = np.split(solution, ends)
    effects = {t: part.reshape(shapes[t]) for t, part in zip(terms, own, strict=True)}
    return effects, values - design @ solution


def _centre(mains: dict[tuple[int, ...], Array], joint: dict[tuple[int, ...], Array]) -> None:
    """Move what a pair's effect says of one factor alone to that factor; all means become 0."""
    for (i, j), effect in joint.items():
        effect -= effect.mean()
        rows, columns = effect.mean(axis=1), effect.mean(axis=0)
        mains[i,] += rows
        mains[j,] += columns
        effect -= rows[:, None] + columns[None, :]
    for effect in mains.values():
        effect -= effect.mean()


def _shares(
    levels: Codes, parts: dict[tuple[int, ...], float], rest: Array, on_ranks: bool
) -> Shares:
    """Divide by the total, which is 0 where all values are equal: then nothing has a share."""
    left = float(np.mean(rest**2))
    total = sum(parts.values()) + left
    scale = 1 / total if total > 0 else 0.0
    freedom = {t: int(np.prod([levels[:, f].max() for f in t])) for t in parts}
    spare = len(rest) - 1 - sum(freedom.values())
    noise = left * scale / spare if spare > 0 else np.nan
    factors = [t for t in parts if len(t) == 1]
    pairs = [(t[0], t[1]) for t in parts if len(t) == 2]
    return Shares(
        factors=np.array([parts[t] * scale for t in factors]),
        pairs={t: parts[t] * scale for t in pairs},
        rest=left * scale,
        chance=np.array([noise * freedom[t] for t in factors]),
        pair_chance={t: noise * freedom[t] for t in pairs},
        on_ranks=on_ranks,
    )
