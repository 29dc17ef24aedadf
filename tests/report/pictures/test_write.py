import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

from optlab.report.charts import Axis, Chart, Figure, Heatmap, Series, Views
from optlab.report.pictures import write_pictures
from tests.report.examples import HOSTILE, figures, hostile, intervals, landscapes, learning_curves

TEXT = "{http://www.w3.org/2000/svg}text"


def texts(path: Path) -> list[str]:
    return ["".join(element.itertext()) for element in ET.parse(path).iter(TEXT)]


@pytest.mark.parametrize("figure", figures(), ids=lambda figure: figure.name)
def test_every_kind_is_drawn_whole_as_svg_and_png(figure: Figure, tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, [figure])
    views = len(figure.choices) if isinstance(figure, Views) else 1
    assert len(paths) == 2 * views
    for svg, png in zip(paths[::2], paths[1::2], strict=True):
        assert ET.parse(svg).getroot().tag.endswith("svg")
        pixels = image.imread(png)[..., :3]
        assert pixels.shape[1] >= 800
        # Nothing is cut: the outermost pixels are paper, but for long names of a user.
        edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert figure.name == "hostile" or (edges == 1).all()


def test_of_views_each_is_a_file(tmp_path: Path) -> None:
    figure = Views("by_axis", "", "", {"by time (s)": learning_curves(), "by epoch": intervals()})
    names = [path.name for path in write_pictures(tmp_path, [figure])]
    assert names == [
        "by_axis_by_time_s.svg",
        "by_axis_by_time_s.png",
        "by_axis_by_epoch.svg",
        "by_axis_by_epoch.png",
    ]
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())


def test_pictures_are_the_same_each_time(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_pictures(tmp_path / folder, [learning_curves()])
    for suffix in ("svg", "png"):
        one, other = (tmp_path / folder / f"curves.{suffix}" for folder in ("a", "b"))
        assert one.read_bytes() == other.read_bytes()


def test_text_is_text_as_the_user_wrote_it(tmp_path: Path) -> None:
    (svg, _) = write_pictures(tmp_path, [hostile()])
    found = " ".join(texts(svg))
    assert "$x$" in found
    assert "ordinary" in found
    assert not re.search(r"<(script|b|a)\b", svg.read_text())
    assert HOSTILE not in svg.read_text()


def test_a_picture_shows_what_the_page_shows_at_first(tmp_path: Path) -> None:
    (svg, _) = write_pictures(tmp_path, [learning_curves()])
    assert "sgd" in texts(svg)
    assert "shampoo" not in texts(svg)


def test_panels_with_the_same_axes_say_so_once(tmp_path: Path) -> None:
    (svg, _) = write_pictures(tmp_path, [landscapes()])
    found = texts(svg)
    assert found.count("x") == 3
    assert found.count("y") == 1
    assert found.count("value of the function") == 1


def test_many_series_are_counted_in_the_legend(tmp_path: Path) -> None:
    x = np.arange(3.0)
    series = tuple(Series(f"cell {i}", x, x + i) for i in range(40))
    (svg, _) = write_pictures(tmp_path, [Chart("a", "", "", Axis("x"), Axis("y"), series)])
    assert "16 more" in texts(svg)


@pytest.mark.parametrize("rows", [0, 1, 40])
def test_a_figure_of_any_size_is_drawn(rows: int, tmp_path: Path) -> None:
    names = tuple(f"a rather long name of cell number {i}" for i in range(rows))
    values = np.full((rows, rows), np.nan)
    heat = Heatmap("heat", "", "", Axis("x", "names", names), Axis("y", "names", names), values,
                   tuple(("",) * rows for _ in range(rows)), "value")  # fmt: skip
    empty = Chart("chart", "", "", Axis("x"), Axis("", "names", names), ())
    assert len(write_pictures(tmp_path, [heat, empty])) == 4
