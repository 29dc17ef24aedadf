"""What a report consists of: sections, each with sentences, figures and tables."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optlab.report.charts import Figure

Value = str | float | int | bool | None


def is_empty(value: Value) -> bool:
    """Say whether a table shows nothing for a value: None, nan or an empty text."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its heading on the page, with the unit.
        key: Its heading in files: lower case with underscores.
        digits: Significant digits of its numbers on the page; files have all.
        decimals: Decimals of its numbers on the page, where they are not to follow from `digits`.
        is_shown: Whether the page has it; files have every column.
    """

    title: str
    key: str
    digits: int = 4
    decimals: int | None = None
    is_shown: bool = True


@dataclass(frozen=True)
class Table:
    """Rows of values.

    Attributes:
        name: Of its files, in lower case with underscores, unique in a report.
        title: What it holds, in a few words.
        caption: How to read it; may be empty.
        columns: Its columns.
        rows: A value for each column; None and nan are empty, infinities are shown.
        most: Rows that the page shows at first; the rest unfolds. Files have all.
    """

    name: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Value]]
    most: int = 30


@dataclass(frozen=True)
class Section:
    """A part of the report under a heading of its own.

    Attributes:
        name: Its anchor on the page.
        title: Its heading.
        sentences: What it says, a paragraph each, plain text.
        figures: Its figures.
        tables: Its tables.
        commands: Command lines that its sentences speak of, to be copied.
        after: Name of the report's own section that it follows where it is added to a report; it
            stands last where the report has no such section.
    """

    name: str
    title: str
    sentences: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    commands: tuple[str, ...] = ()
    after: str = ""


@dataclass(frozen=True)
class Objection:
    """Why a comparison is not fair, or not sure, as it stands.

    Attributes:
        name: Of the rule that objects, such as ``"few_seeds"``.
        sentence: What is unequal or missing, with numbers.
        command: What to run to mend it, or "" where no command does.
    """

    name: str
    sentence: str
    command: str = ""
