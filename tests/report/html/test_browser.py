"""The page as a browser shows it, from a file and without a network.

Set OPTLAB_SCREENSHOTS to a folder to keep pictures of it.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optlab.report.charts import Axis, Chart, Series
from optlab.report.html import write_page
from optlab.report.page import Column, Section, Table
from tests.report.example_sections import OBJECTIONS, sections
from tests.report.examples import figures

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium"),
]
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page of all kinds of figures."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(path, sections(), OBJECTIONS, "Eight optimizers", "report")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        flags = ["--no-sandbox", "--disable-dev-shm-usage"]
        launched = started.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def opened(browser: Any, file: Path) -> Iterator[Open]:
    """Return a function that opens a page; what it complains of or asks for fails the test."""
    contexts, wrong = [], []

    def open_page(path: Path = file, width: int = 1280, **look: Any) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, offline=True, **look
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on("request", lambda asked: wrong.append(asked.url) if is_foreign(asked.url) else None)
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


@pytest.fixture(scope="module")
def page(opened: Open) -> Any:
    """Return a page that several tests look at, each at a figure of its own."""
    return opened()


def is_foreign(address: str) -> bool:
    return not address.startswith(("file:", "data:", "blob:"))


def come_near(page: Any, name: str) -> Any:
    """Return a figure after it was drawn."""
    figure = page.locator(f"#figure-{name}")
    figure.scroll_into_view_if_needed()
    figure.locator(".canvas .main-svg, .canvas .gl-container").first.wait_for(state="attached")
    return figure


def lines(figure: Any) -> int:
    return int(figure.locator(".scatterlayer .trace").count())


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_every_figure_is_drawn_and_nothing_sticks_out(
    opened: Open, width: int, scheme: str
) -> None:
    page = opened(width=width, color_scheme=scheme)
    for figure in figures():
        come_near(page, figure.name)
    assert page.locator(".js-plotly-plot").count() >= len(figures())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if folder := os.environ.get("OPTLAB_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/report_{width}_{scheme}.png", full_page=True)


def test_figures_far_away_wait_until_the_reader_comes(opened: Open) -> None:
    page = opened()
    assert 0 < page.locator(".js-plotly-plot").count() < len(figures())


def test_the_legend_hides_shows_and_isolates(page: Any) -> None:
    figure = come_near(page, "curves")
    entry = figure.get_by_role("button", name="adam", exact=True)
    assert lines(figure) == 7 * 2  # with bands; the eighth is hidden at first
    entry.click()
    assert entry.get_attribute("aria-pressed") == "false"
    assert lines(figure) == 6 * 2
    figure.get_by_role("button", name="shampoo").click()
    assert lines(figure) == 7 * 2
    entry.dblclick()
    assert lines(figure) == 2
    assert entry.get_attribute("aria-pressed") == "true"


def test_a_long_legend_is_searched_and_shown_at_once(page: Any) -> None:
    figure = come_near(page, "many")
    assert lines(figure) == 20
    figure.get_by_role("button", name="hide all").click()
    assert lines(figure) == 0
    figure.get_by_role("searchbox").fill("cell 3")
    assert figure.locator(".entry:visible").count() == 15  # with both words: 03, 13, 30 to 39
    figure.get_by_role("button", name="show all").click()
    assert lines(figure) == 15


def test_series_hidden_at_first_wait_behind_a_button(opened: Open) -> None:
    figure = come_near(opened(), "many")
    entries = figure.locator(".entry:visible")
    assert entries.count() == 20
    figure.get_by_role("button", name="and 40 more").click()
    assert entries.count() == 60
    assert figure.locator(".more:visible").count() == 0
    assert entries.nth(20).evaluate("entry => entry === document.activeElement")


def test_what_the_row_above_says_is_faint(opened: Open, tmp_path: Path) -> None:
    columns = (Column("task", "task"), Column("cell", "cell"), Column("runs", "runs"))
    rows = [("blobs", "adam", 3), ("blobs", "nag", 3), ("digits", "nag", 3)]
    table = Table("a", "A", "", columns, rows)
    write_page(tmp_path / "report.html", [Section("a", "A", (), (), (table,))], ())
    page = opened(tmp_path / "report.html")
    faint = "[...document.querySelectorAll('td')].map(cell => cell.matches('.same'))"
    assert page.evaluate(faint) == [*[False] * 3, True, *[False] * 5]
    page.get_by_role("button", name="runs").click()
    assert page.evaluate(faint) == [*[False] * 3, True, *[False] * 5], "also when sorted"


def test_views_are_switched_and_keep_what_is_hidden(page: Any) -> None:
    figure = come_near(page, "views")
    title = figure.locator(".xtitle")
    assert title.text_content() == "epoch"
    figure.get_by_role("button", name="adam", exact=True).click()
    figure.get_by_role("button", name="by time").click()
    assert title.text_content() == "learning rate"
    assert figure.get_by_role("button", name="by time").get_attribute("aria-pressed") == "true"
    hidden = figure.get_by_role("button", name="adam", exact=True)
    assert hidden.get_attribute("aria-pressed") == "false"
    figure.get_by_role("button", name="panels").click()
    assert figure.locator(".js-plotly-plot").count() == 5
    assert hidden.get_attribute("aria-pressed") == "false"


def test_an_axis_is_switched_to_a_logarithm(page: Any) -> None:
    figure = come_near(page, "losses")
    kind = "figure => figure.querySelector('.js-plotly-plot')._fullLayout.yaxis.type"
    assert figure.evaluate(kind) == "linear"
    figure.get_by_role("button", name="log scale").click()
    assert figure.evaluate(kind) == "log"


def test_what_lies_across_is_switched_to_a_logarithm_and_back(page: Any) -> None:
    figure = come_near(page, "curves")
    kind = "figure => figure.querySelector('.js-plotly-plot')._fullLayout.xaxis.type"
    button = figure.get_by_role("button", name="log scale across")
    for expected in ("linear", "log", "linear"):
        assert figure.evaluate(kind) == expected
        button.click()


def test_the_page_follows_the_system_until_the_reader_chooses(opened: Open) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    page = opened(color_scheme="dark")
    come_near(page, "curves")
    dark = page.evaluate(paper)
    page.get_by_role("button", name="light", exact=True).click()
    assert page.evaluate(paper) != dark
    page.reload()
    assert page.evaluate(paper) != dark
    page.get_by_role("button", name="dark", exact=True).click()
    assert page.evaluate(paper) == dark


def test_tables_are_sorted_and_unfolded(page: Any) -> None:
    table = page.locator("#table-cells")
    rows = table.locator("tbody tr")
    assert rows.count() == 30
    heading = table.get_by_role("button", name="loss (nats)")
    heading.click()
    assert rows.count() == 50
    column = [row.locator("td").nth(2).text_content() for row in (rows.nth(0), rows.nth(49))]
    assert column == ["0.5", ""]
    heading.click()
    column = [row.locator("td").nth(2).text_content() for row in (rows.nth(0), rows.nth(49))]
    assert column == ["∞", ""]


def test_names_are_read_as_they_are(page: Any) -> None:
    come_near(page, "hostile")
    page.locator("#table-bad .unfold").click()
    assert page.evaluate("document.querySelectorAll('main b[onclick], main svg a').length") == 0
    assert page.locator("#table-bad td").count() == 3
    assert "<b onclick" in page.locator("#figure-hostile .legend").text_content()
    assert "<b onclick" in page.locator("#figure-hostile .ytitle").text_content()


def test_contents_fold_on_narrow_screens_and_stay_on_wide_ones(opened: Open) -> None:
    narrow = opened()
    link = narrow.locator("nav a").first
    link.wait_for(state="visible")
    narrow.set_viewport_size({"width": 400, "height": 900})
    link.wait_for(state="hidden")
    narrow.locator("nav summary").click()
    link.click()
    link.wait_for(state="hidden")


def test_paper_has_every_figure_and_the_watermark(opened: Open) -> None:
    page = opened(color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".js-plotly-plot").count() >= len(figures())
    width = "document.querySelector('#figure-curves .main-svg').clientWidth"
    assert page.evaluate(width) < 700  # an A4 page has about 720
    page.emulate_media(media="print")
    assert page.locator(".watermark").is_visible()
    assert page.locator(".objections").is_visible()
    assert not page.locator("nav").is_visible()


def test_a_hidden_outlier_is_seen_when_it_is_shown(opened: Open, tmp_path: Path) -> None:
    x = np.arange(3.0)
    series = (Series("in", x, x), Series("out", x, x + 100, is_shown=False))
    chart = Chart("a", "A", "", Axis("x"), Axis("y"), series)
    write_page(tmp_path / "report.html", [Section("a", "A", (), (chart,))], ())
    figure = come_near(opened(tmp_path / "report.html"), "a")
    figure.get_by_role("button", name="out").click()
    top = "figure => figure.querySelector('.js-plotly-plot')._fullLayout.yaxis.range[1]"
    assert figure.evaluate(top) > 100
