"""The page of a report: one file, which needs no other and no network."""

from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path

from plotly.offline import get_plotlyjs

from optlab.report.charts.styles import LINE_SHADES, SHADES, TWO_SIDED
from optlab.report.html.blocks import Blocks
from optlab.report.html.json_text import script_json
from optlab.report.page import Objection, Section
from optlab.results import write_atomic

TITLE = "optlab report"
STYLE = "style.css"
EARLY = "theme.js"  # before anything is shown
SCRIPTS = ("plotting.js", "swatch.js", "figures.js", "tables.js", "page.js")
#: Whatever a name in it says, a page loads nothing. Plotly compiles the shaders of parallel
#: coordinates with eval.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)
MAPS = {"shades": SHADES, "sides": TWO_SIDED, "lines": LINE_SHADES}
NO_SCRIPT = (
    "Figures are drawn by a script of this page, which your browser does not run. The text and the "
    "first rows of the tables are all here."
)


def write_page(
    path: str | Path,
    sections: Sequence[Section],
    objections: Sequence[Objection],
    title: str = TITLE,
    files: str = "",
) -> None:
    """Write the page.

    Args:
        path: Of the file.
        sections: What it says.
        objections: Why the ranking is not fair, or not sure, which is said above it.
        title: Its heading.
        files: Folder of the files of its figures and tables, seen from the page; "" without them.

    Raises:
        OSError: When it cannot be written.
    """
    blocks = Blocks(files, objections)
    body = "\n".join(blocks.section(section) for section in sections)
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{_data(STYLE)}</style>\n<script>\n{_data(EARLY)}</script>\n</head>\n<body>",
        '<a class="skip" href="#content">Skip to the content</a>',
        _header(title),
        f'<div class="columns">\n{_contents(sections)}\n<main id="content">',
        f'<noscript><p class="note">{NO_SCRIPT}</p></noscript>',
        f"{body}\n</main>\n</div>",
        # Last, so that the text is there before four megabytes of script are read.
        f"<script>{get_plotlyjs()}</script>",
        f"<script>const optlabShades = {script_json(MAPS)};</script>",
        *(f"<script>\n{_data(name)}</script>" for name in SCRIPTS),
        "</body>\n</html>\n",
    ]
    write_atomic(path, "\n".join(parts).encode())


def _header(title: str) -> str:
    button = '<button type="button" id="theme" hidden>dark</button>'
    return f'<header class="top"><h1>{escape(title)}</h1>{button}</header>'


def _contents(sections: Sequence[Section]) -> str:
    items = "\n".join(
        f'<li><a href="#{escape(section.name)}">{escape(section.title)}</a></li>'
        for section in sections
    )
    return (
        '<nav aria-label="Contents"><details open><summary>Contents</summary>'
        f"\n<ol>{items}</ol>\n</details></nav>"
    )


def _data(name: str) -> str:
    return resources.files("optlab.report.html").joinpath(name).read_text(encoding="utf-8")
