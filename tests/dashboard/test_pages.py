"""TensorBoard's pages on a small sweep, as a browser shows them.

With ``OPTLAB_SCREENSHOTS=DIR`` the pictures that the tests take are kept there.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dashboard.conftest import CELLS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opened(browser: Any, address: str, tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """Return a function that opens a page; after the test a picture is kept, errors are none."""
    errors: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.on("pageerror", lambda error: errors.append(str(error)))
    names: list[str] = []

    def open_page(name: str) -> Any:
        names.append(name)
        page.goto(f"{address}#{name}")
        page.wait_for_load_state("networkidle")
        return page

    yield open_page
    folder = Path(os.environ.get("OPTLAB_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=folder / f"board_{names[0]}.png")
    page.close()
    assert errors == []


def test_the_page_of_time_series_lists_cells_first_and_draws_them(
    opened: Callable[[str], Any],
) -> None:
    page = opened("timeseries")
    page.get_by_text(f"cells/{CELLS[0]}", exact=True).first.wait_for()
    page.locator("scalar-card line-chart").first.wait_for()
    text = page.locator("body").inner_text()
    assert text.index(f"cells/{CELLS[0]}") < text.index("seed=0")


def test_the_page_of_hyperparameters_shows_a_row_per_cell(opened: Callable[[str], Any]) -> None:
    page = opened("hparams")
    for text in ("Trial ID", "lr", "optimizer", "rank", "accuracy/val: mean"):
        page.get_by_text(text, exact=True).filter(visible=True).first.wait_for()
    for number in range(1, len(CELLS) + 1):
        page.get_by_text(f"{number}.0000", exact=True).filter(visible=True).first.wait_for()


def test_the_page_of_custom_scalars_draws_a_band_for_each_cell(
    opened: Callable[[str], Any],
) -> None:
    page = opened("custom_scalars")
    page.get_by_text("accuracy/val: mean and range over seeds").first.wait_for()
    card = page.locator("tf-custom-scalar-margin-chart-card").first
    card.get_by_text(f"Matches ({len(CELLS)})").wait_for()
    card.locator("path").first.wait_for(state="attached")
