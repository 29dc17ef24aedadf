import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from optlab.report.charts import Axis, Chart, Series
from optlab.report.html import write_page
from optlab.report.page import Section
from tests.report.example_sections import OBJECTIONS, sections

ROOT = Path(__file__).parents[3]
VOID = {"meta", "input", "br", "link"}


class Nesting(HTMLParser):
    """Notes elements that are not closed in the order that they were opened in."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attributes if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.fixture
def page(tmp_path: Path) -> str:
    """Return a page of all that there is, without plotly's script."""
    write_page(tmp_path / "report.html", sections(), OBJECTIONS, "Eight optimizers", "report")
    return (tmp_path / "report.html").read_text().replace(get_plotlyjs(), "")


def test_a_page_is_well_formed_and_its_anchors_are_its_own(page: str) -> None:
    nesting = Nesting()
    nesting.feed(page)
    assert not nesting.wrong
    assert not nesting.open
    assert len(set(nesting.ids)) == len(nesting.ids)
    for anchor in re.findall(r'href="#([^"]*)"', page):
        assert anchor in nesting.ids


def test_a_page_loads_nothing(page: str) -> None:
    assert "default-src 'none'" in page
    assert not re.search(r"<(link|iframe|object|embed|img)\b", page)
    assert not re.search(r"<script[^>]*\bsrc", page)
    assert not re.search(r"@import|url\(", page)


def test_what_a_page_is_made_of_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["optlab.report.html"]
    folder = ROOT / "optlab" / "report" / "html"
    data = [path for path in folder.iterdir() if path.is_file() and path.suffix != ".py"]
    assert data
    assert not [path for path in data if not any(path.match(pattern) for pattern in patterns)]


def test_a_page_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_page(tmp_path / name, sections(), OBJECTIONS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def luminance(colour: str) -> float:
    """Return the relative luminance of ``#rrggbb`` (WCAG 2.1)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("text", ["ink", "soft", "accent"])
@pytest.mark.parametrize("behind", ["paper", "tint"])
def test_text_can_be_read(theme: int, text: str, behind: str) -> None:
    style = (ROOT / "optlab" / "report" / "html" / "style.css").read_text()
    colours = (
        re.findall(rf"--{text}: (#\w+)", style)[theme],
        re.findall(rf"--{behind}: (#\w+)", style)[theme],
    )
    dark, light = sorted(map(luminance, colours))
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_a_page_without_sections_is_a_page(tmp_path: Path) -> None:
    write_page(tmp_path / "report.html", (), ())
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_a_thousand_curves_take_few_bytes(tmp_path: Path) -> None:
    x, generator = np.arange(200.0), np.random.default_rng(0)
    series = tuple(
        Series(f"cell {i}", x, y := generator.random(200), y - 0.1, y + 0.1, is_shown=i < 8)
        for i in range(1000)
    )
    chart = Chart("a", "A", "", Axis("epoch"), Axis("loss"), series)
    write_page(tmp_path / "report.html", [Section("a", "A", (), (chart,))], ())
    of_chart = (tmp_path / "report.html").stat().st_size - len(get_plotlyjs())
    # A mean and a band of two ends there and back: 6 numbers a point, of 4/3 x 4 bytes each.
    assert of_chart < 1000 * (200 * 6 * 5.4 + 1200)
