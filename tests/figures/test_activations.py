import numpy as np

from optlab.figures.activations import COLUMNS, MOST, activations
from tests.figures.reading import drawn

Z = np.linspace(-2, 2, 9)


def test_a_panel_has_the_function_and_its_slope():
    curves = {"Tanh": (Z, np.tanh(Z), 1 - np.tanh(Z) ** 2), "Identity": (Z, Z, np.ones(9))}
    axes = drawn(lambda: activations(curves)).axes
    assert [own.get_title(loc="left") for own in axes] == ["Tanh", "Identity"]
    for own, (_, values, slopes) in zip(axes, curves.values(), strict=True):
        np.testing.assert_array_equal([line.get_ydata() for line in own.lines], [values, slopes])


def test_more_functions_than_there_is_room_for_are_told():
    found = drawn(lambda: activations({f"f{i}": (Z, Z, Z) for i in range(MOST + 2)}))
    assert found.get_suptitle().endswith(f"{MOST} of {MOST + 2}")
    assert sum(own.axison for own in found.axes) == MOST
    assert MOST % COLUMNS == 0
