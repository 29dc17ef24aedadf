import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from optlab.report.charts.styles import COLOURS, LINE_SHADES, REST, SHADES, TWO_SIDED, styles

NAMES = [f"optimizer_{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
COLOUR_VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def lab(colour: str, vision: str) -> np.ndarray:
    """Return CIE L*a*b* (D65) of a colour as it is seen."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(COLOUR_VISION[vision]) @ linear, 0, 1)
    to_xyz = [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
    x, y, z = np.cbrt(np.maximum(np.array(to_xyz) @ seen / [0.95047, 1.0, 1.08883], 216 / 24389))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", COLOUR_VISION)
def test_colours_are_told_apart_with_any_colour_vision_and_from_white(vision: str) -> None:
    seen = [lab(colour, vision) for colour in (*COLOURS, "#FFFFFF")]
    differences = [np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)]
    # 2.3 is just noticeable side by side; a thin line needs several times as much.
    assert min(differences) > 10


@pytest.mark.parametrize("count", [1, 7, 9, 14])
def test_every_optimizer_has_a_look_of_its_own(count: int) -> None:
    looks = styles(NAMES[:count]).values()
    assert len({(look.color, look.linestyle) for look in looks}) == count
    assert len({look.marker for look in looks}) == count


def test_a_look_does_not_depend_on_who_is_best() -> None:
    assert styles(["sgd", "adam", "nag"]) == styles(["nag", "adam", "sgd", "nag"])


def test_beyond_two_rounds_of_colours_the_least_important_are_grey() -> None:
    looks = styles([*reversed(NAMES)])
    assert [name for name, look in looks.items() if look != REST] == NAMES[:-15:-1]


@pytest.mark.parametrize("vision", COLOUR_VISION)
def test_shades_get_darker_and_sides_are_told_apart_with_any_colour_vision(vision: str) -> None:
    lightness = [lab(colour, vision)[0] for colour in SHADES]
    assert (np.diff(lightness) < -3).all()
    for colours in (TWO_SIDED, LINE_SHADES):
        seen = [lab(colour, vision) for colour in colours]
        assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 10
    assert np.argmax([lab(colour, vision)[0] for colour in TWO_SIDED]) == 2
