from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from optlab.statistics.multiplicity import holm

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=6).map(np.array)


def closed(p_values: np.ndarray) -> list[float]:
    """Adjust by closed testing: a test is believed if every set of tests with it is, by Bonferroni.

    That is what Holm's method is a short cut to.
    """
    places = range(len(p_values))
    sets = [set(s) for size in range(1, len(p_values) + 1) for s in combinations(places, size)]
    return [
        max(min(1.0, len(own) * min(p_values[i] for i in own)) for own in sets if place in own)
        for place in places
    ]


@given(P_VALUES)
def test_it_is_the_closed_test_of_bonferroni(p_values: np.ndarray) -> None:
    np.testing.assert_allclose(holm(p_values), closed(p_values), rtol=1e-12)


def test_what_is_no_test_stays_and_does_not_count() -> None:
    np.testing.assert_array_equal(holm(np.array([0.02, np.nan, 0.04])), [0.04, np.nan, 0.04])


def test_no_tests_are_none() -> None:
    assert holm(np.array([])).shape == (0,)
