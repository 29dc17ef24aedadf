from itertools import product

import numpy as np
import pytest
from scipy import stats

from optlab.statistics.importance import variance_shares

GRID = np.array(list(product(range(4), range(3), range(2), range(5))))  # the last are seeds
FACTORS = GRID[:, :3]


def values(seed: int = 0) -> np.ndarray:
    """Return values with effects of the first factor, of the first two together, and noise."""
    noise = np.random.default_rng(seed).normal(size=len(GRID))
    return GRID[:, 0] + 0.8 * GRID[:, 0] * GRID[:, 1] + noise


def sums_of_squares(levels: np.ndarray, found: np.ndarray) -> dict[tuple[int, ...], float]:
    """Return the textbook's sums of a balanced grid: from the means of levels."""

    def means(*places: int) -> np.ndarray:
        keys = levels[:, places]
        return np.array([found[(keys == key).all(axis=1)].mean() for key in keys])

    total, single = found.mean(), {i: means(i) for i in range(3)}
    sums = {(i,): ((own - total) ** 2).sum() for i, own in single.items()}
    for i, j in ((0, 1), (0, 2), (1, 2)):
        sums[i, j] = ((means(i, j) - single[i] - single[j] + total) ** 2).sum()
    return sums


def test_on_a_balanced_grid_shares_are_the_classical_ones() -> None:
    found, expected = variance_shares(FACTORS, values()), sums_of_squares(FACTORS, values())
    whole = ((values() - values().mean()) ** 2).sum()
    for i in range(3):
        assert found.factors[i] == pytest.approx(expected[i,] / whole)
    for pair, share in found.pairs.items():
        assert share == pytest.approx(expected[pair] / whole)
    assert found.factors.sum() + sum(found.pairs.values()) + found.rest == pytest.approx(1.0)


def test_on_a_grid_with_holes_effects_are_those_of_the_whole_grid() -> None:
    exact = GRID[:, 0] + 2.0 * GRID[:, 1]
    kept = np.random.default_rng(0).random(len(GRID)) < 0.5
    whole, part = variance_shares(FACTORS, exact), variance_shares(FACTORS[kept], exact[kept])
    np.testing.assert_allclose(part.factors, whole.factors, atol=1e-9)
    assert part.rest == pytest.approx(0.0, abs=1e-9)


def test_names_of_levels_and_the_scale_of_values_do_not_matter() -> None:
    turned = FACTORS.copy()
    turned[:, 0] = np.array([2, 0, 3, 1])[turned[:, 0]]
    found, other = variance_shares(FACTORS, values()), variance_shares(turned, 5 - 3 * values())
    np.testing.assert_allclose(other.factors, found.factors)
    assert other.pairs == pytest.approx(found.pairs)


def test_infinite_values_make_it_an_analysis_of_ranks() -> None:
    lost = values()
    lost[GRID[:, 0] == 3] = np.inf
    found = variance_shares(FACTORS, lost)
    assert found.on_ranks
    assert not variance_shares(FACTORS, values()).on_ranks
    expected = variance_shares(FACTORS, stats.rankdata(lost))
    np.testing.assert_array_equal(found.factors, expected.factors)


def test_what_does_nothing_has_the_share_that_chance_gives_it() -> None:
    noise = np.random.default_rng(0).normal(size=(300, len(GRID)))
    every = [variance_shares(FACTORS, own) for own in noise]
    mean = np.mean([each.factors for each in every], axis=0)
    # Three standard errors of about a fifteenth of a share of degrees / 119.
    np.testing.assert_allclose(mean, np.array([3, 2, 1]) / 119, rtol=0.25)
    np.testing.assert_allclose(np.mean([each.chance for each in every], axis=0), mean, rtol=0.25)
    chance = np.mean([each.pair_chance[0, 1] for each in every])
    assert chance == pytest.approx(np.mean([each.pairs[0, 1] for each in every]), rel=0.25)


def test_without_a_rest_chance_is_not_known() -> None:
    once = np.unique(FACTORS[:, :2], axis=0)
    found = variance_shares(once, once[:, 0] * once[:, 1])
    assert found.rest == pytest.approx(0.0, abs=1e-12)
    assert np.isnan(found.chance).all()


def test_one_factor_and_equal_values() -> None:
    one = variance_shares(GRID[:, :1], values())
    assert one.factors[0] + one.rest == pytest.approx(1.0)
    equal = variance_shares(FACTORS, np.ones(len(GRID)))
    assert (equal.factors.tolist(), equal.rest) == ([0.0, 0.0, 0.0], 0.0)


@pytest.mark.parametrize(("bad", "message"), [(np.nan, "leave the points out")])
def test_values_that_are_none_are_refused(bad: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        variance_shares(FACTORS, np.full(len(GRID), bad))


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="a value for each row"):
        variance_shares(FACTORS, np.ones(3))
