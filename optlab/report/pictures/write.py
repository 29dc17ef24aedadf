"""Figures to files."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure as Drawing

from optlab.report.charts import Figure, Views
from optlab.report.charts.file_names import file_names
from optlab.report.charts.styles import SETTINGS
from optlab.report.pictures.drawing import draw
from optlab.results import write_atomic

DOTS_PER_INCH = 200
#: Text stays text: it can be searched and edited, and takes the font of the paper. The same figure
#: is the same file each time.
AS_SVG = {"svg.fonttype": "none", "svg.hashsalt": "optlab"}


def write_pictures(folder: str | Path, figures: Sequence[Figure]) -> list[Path]:
    """Draw figures into a folder, each as SVG and PNG; of several views each is a picture.

    Raises:
        OSError: When one cannot be written.
    """
    written = []
    with matplotlib.rc_context(SETTINGS | AS_SVG):
        for name, figure in _named(figures):
            drawing = draw(figure)
            _lay_out(drawing)
            for suffix, content in _contents(drawing):
                written.append(Path(folder) / f"{name}.{suffix}")
                write_atomic(written[-1], content)
    return written


def _named(figures: Sequence[Figure]) -> Iterator[tuple[str, Figure]]:
    for figure in figures:
        if isinstance(figure, Views):
            names = file_names(figure.name, figure.choices)
            yield from ((names[choice], view) for choice, view in figure.choices.items())
        else:
            yield figure.name, figure


def _lay_out(drawing: Drawing) -> None:
    """Place all parts once, for both files."""
    engine = drawing.get_layout_engine()
    if engine is not None:
        engine.execute(drawing)
    drawing.set_layout_engine("none")


def _contents(drawing: Drawing) -> Iterator[tuple[str, bytes]]:
    svg, png = io.BytesIO(), io.BytesIO()
    # Dots count in an SVG too: for what lies in it as an image.
    drawing.savefig(svg, format="svg", dpi=DOTS_PER_INCH, metadata={"Date": None, "Creator": None})
    drawing.savefig(
        png,
        format="png",
        dpi=DOTS_PER_INCH,
        metadata={"Software": None},
        pil_kwargs={"compress_level": 4},
    )
    yield "svg", svg.getvalue()
    yield "png", png.getvalue()
