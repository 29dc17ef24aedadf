import struct
import subprocess
import sys

import numpy as np

from optlab.figures.canvas import DOTS_PER_INCH, WIDTH, png
from optlab.figures.confusion import confusion


def test_a_picture_is_a_png_of_900_pixels_that_any_page_can_afford():
    numbers = np.random.default_rng(0).integers(0, 50, (40, 40))
    content = png(lambda: confusion(numbers, "validation rows"))
    width, _ = struct.unpack(">II", content[16:24])
    assert content.startswith(b"\x89PNG")
    assert width <= WIDTH * DOTS_PER_INCH == 900
    assert len(content) < 100_000


def test_settings_of_the_caller_stay_as_they_are():
    import matplotlib

    before = dict(matplotlib.rcParams)
    png(lambda: confusion(np.eye(3, dtype=int), "rows"))
    assert dict(matplotlib.rcParams) == before


def test_the_colours_need_neither_matplotlib_nor_torch():
    heavy = "{'matplotlib', 'torch'} & {*sys.modules}"
    code = f"import sys, optlab.figures.settings; sys.exit(bool({heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
