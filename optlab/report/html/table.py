"""A table as HTML."""

from collections.abc import Sequence
from html import escape

from optlab.report.html.json_text import script_json
from optlab.report.html.values import is_number, shown
from optlab.report.page import Table

WIDEST, PADDING, LETTER = 46, 3, 0.55  # letters of a column, and em of one


def table_block(table: Table, caption: str) -> str:
    """Return a table; rows beyond the first are data that ``tables.js`` unfolds.

    Args:
        table: The table.
        caption: As HTML.
    """
    places = [place for place, column in enumerate(table.columns) if column.is_shown]
    heading = [table.columns[place] for place in places]
    columns = [[row[place] for row in table.rows] for place in places]
    numeric = [is_number(column) for column in columns]
    texts = [
        shown(values, column.digits, column.decimals)
        for values, column in zip(columns, heading, strict=True)
    ]
    rows = list(zip(*texts, strict=True))
    titles = [column.title for column in heading]
    heads = "".join(map(_head, titles, numeric, map(_width, texts)))
    parts = [
        f'<figure class="data" id="table-{escape(table.name)}">',
        f"<figcaption>{caption}</figcaption>",
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.title)}">',
        f"<table><thead><tr>{heads}</tr></thead>",
        "<tbody>",
        *(_row(row, numeric) for row in rows[: table.most]),
        "</tbody></table></div>",
    ]
    if len(rows) > table.most:
        parts += [
            f'<button type="button" class="unfold">Show all {len(rows)} rows</button>',
            f'<script type="application/json">{script_json(rows[table.most :])}</script>',
        ]
    return "\n".join([*parts, "</figure>"])


def _head(title: str, is_number: bool, width: float) -> str:
    sort = f'<button type="button">{escape(title)}</button>'
    wide = "" if is_number else f' style="--width:{width:g}em"'
    return f'<th scope="col"{_kind(is_number)}{wide}>{sort}</th>'


def _width(texts: Sequence[str]) -> float:
    """Return a width for a column of words that breaks short ones never and long ones seldom."""
    return LETTER * min(max(map(len, texts), default=0) + PADDING, WIDEST)


def _row(row: Sequence[str], numeric: Sequence[bool]) -> str:
    cells = (
        f"<td{_kind(is_n)}>{escape(text)}</td>" for text, is_n in zip(row, numeric, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>"


def _kind(is_number: bool) -> str:
    return ' class="n"' if is_number else ""
