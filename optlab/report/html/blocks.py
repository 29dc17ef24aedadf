"""Sections, figures and tables as HTML. All that is not ours is escaped here."""

from collections.abc import Sequence
from html import escape
from itertools import chain

from optlab.report.charts import Figure, Views
from optlab.report.charts.file_names import file_names
from optlab.report.html.figures import data, height
from optlab.report.html.json_text import script_json
from optlab.report.html.table import table_block
from optlab.report.page import Objection, Section, Table

RANKING = "ranking"
FORMATS = {"figure": ("svg", "png"), "table": ("csv", "parquet")}
REPEATS = 4  # of the watermark


class Blocks:
    """Writes the parts of one page; figures and tables are numbered through.

    Args:
        files: Folder of the files of figures and tables beside the page; "" where there is none.
        objections: What is said above the ranking.
    """

    def __init__(self, files: str, objections: Sequence[Objection]) -> None:
        self.files = files
        self.objections = objections
        self.counts = {"figure": 0, "table": 0}

    def section(self, section: Section) -> str:
        """Return a section: what it says, its figures, its tables."""
        is_marked = section.name == RANKING and bool(self.objections)
        parts = chain(
            [watermark(self.objections), objections(self.objections)] if is_marked else [],
            (f"<p>{escape(sentence)}</p>" for sentence in section.sentences),
            (_command(command) for command in section.commands),
            (self.figure(figure) for figure in section.figures),
            (self.table(table) for table in section.tables),
        )
        name = escape(section.name)
        marked = ' class="marked"' if is_marked else ""
        heading = f'<h2 id="{name}-title">{escape(section.title)}</h2>'
        opening = f'<section id="{name}"{marked} aria-labelledby="{name}-title">'
        return "\n".join([opening, heading, *parts, "</section>"])

    def figure(self, figure: Figure) -> str:
        """Return a figure's place and its data, which `figures.js` draws."""
        spec = data(figure)
        said = escape(f"{figure.title}. {figure.caption}")
        return "\n".join(
            [
                f'<figure class="plot" id="figure-{escape(figure.name)}">',
                f'<div class="canvas" role="img" aria-label="{said}"'
                f' style="min-height:{height(spec)}px"></div>',
                "<figcaption>"
                + self._caption("figure", figure, _file_names(figure))
                + "</figcaption>",
                f'<script type="application/json">{script_json(spec)}</script>',
                "</figure>",
            ]
        )

    def table(self, table: Table) -> str:
        """Return a table."""
        caption = self._caption("table", table, [(table.name, "")])
        return table_block(table, caption)

    def _caption(self, kind: str, what: Figure | Table, files: Sequence[tuple[str, str]]) -> str:
        self.counts[kind] += 1
        title = f"<b>{kind.capitalize()} {self.counts[kind]}. {escape(what.title)}.</b>"
        found = _files(self.files, files, FORMATS[kind]) if self.files else ""
        return " ".join(part for part in (title, escape(what.caption), found) if part)


def objections(against: Sequence[Objection]) -> str:
    """Return what makes the comparison unfair, with what to run to mend it."""
    items = "\n".join(
        f"<li>{escape(each.sentence)}{_command(each.command)}</li>" for each in against
    )
    return (
        f'<div class="objections" role="note"><p><b>{_verdict(len(against)).capitalize()}</b></p>\n'
        f"<ol>{items}</ol></div>"
    )


def watermark(against: Sequence[Objection]) -> str:
    """Return the words that lie across a ranking with objections, also on paper."""
    words = f"<span>{_verdict(len(against))}</span>" * REPEATS
    return f'<div class="watermark" aria-hidden="true">{words}</div>'


def _verdict(count: int) -> str:
    return f"not a fair comparison yet: {count} objection{'s' * (count > 1)}"


def _command(command: str) -> str:
    if not command:
        return ""
    return (
        f'<span class="command"><code>{escape(command)}</code>'
        '<button type="button" class="copy">copy</button></span>'
    )


def _file_names(figure: Figure) -> list[tuple[str, str]]:
    if not isinstance(figure, Views):
        return [(figure.name, "")]
    return [(name, choice) for choice, name in file_names(figure.name, figure.choices).items()]


def _files(folder: str, names: Sequence[tuple[str, str]], formats: Sequence[str]) -> str:
    """Return links to files, which fold where they are of several views."""
    if len(names) == 1:
        return f'<span class="files">{_links(folder, names[0][0], formats)}</span>'
    items = "".join(
        f"<li>{escape(label)}: {_links(folder, name, formats)}</li>" for name, label in names
    )
    said = f"files of the {len(names)} views"
    return f'<details class="files"><summary>{said}</summary><ul>{items}</ul></details>'


def _links(folder: str, name: str, formats: Sequence[str]) -> str:
    return " ".join(
        f'<a href="{escape(folder)}/{escape(name)}.{each}">{each}</a>' for each in formats
    )
