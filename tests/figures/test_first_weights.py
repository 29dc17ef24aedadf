import numpy as np

from optlab.figures.first_weights import BINS, MOST, FirstWeights, first_weights
from tests.figures.reading import drawn, texts


def weights(name, numbers, others):
    return FirstWeights(name, np.asarray(numbers, float), np.asarray(others, float))


def test_a_panel_has_both_densities_and_both_deviations():
    rng = np.random.default_rng(0)
    own = weights("layer", rng.normal(size=(20, 30)), rng.normal(size=20_000))
    (axes,) = drawn(lambda: first_weights([own], "standard_normal")).axes
    bars = [patch for patch in axes.patches if hasattr(patch, "get_width")]
    assert len(bars) == BINS
    area = sum(bar.get_width() * bar.get_height() for bar in bars)
    np.testing.assert_allclose(area, 1.0, rtol=1e-9)
    deviations = own.numbers.std(), own.others.std()
    assert texts(axes) == ["std {:.3g}\nof many {:.3g}".format(*deviations)]


def test_a_constant_has_room_around_it():
    axes = drawn(lambda: first_weights([weights("w", [2.0, 2.0], [2.0])], "constant")).axes[0]
    low, high = axes.get_xlim()
    assert low < 1.6
    assert high > 2.4


def test_of_many_parameters_the_first_the_last_and_some_between_are_shown():
    many = [weights(f"layer {i}", [0.0, 1.0], [0.0, 1.0]) for i in range(40)]
    found = drawn(lambda: first_weights(many, "he_normal"))
    names = [axes.get_title(loc="left") for axes in found.axes]
    assert (names[0], names[-1], len(names)) == ("layer 0", "layer 39", MOST)
    assert "12 of 40" in found.get_suptitle()
