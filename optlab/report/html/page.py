"""The page of a report."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from optlab.report.page import Objection, Section
from optlab.results import write_atomic


def write_page(
    path: str | Path, sections: Sequence[Section], objections: Sequence[Objection]
) -> None:
    """Write the page.

    Raises:
        OSError: When it cannot be written.
    """
    parts = [f"<p>{escape(each.sentence)}</p>" for each in objections]
    parts += [
        f"<h2>{escape(section.title)}</h2>"
        + "".join(f"<p>{escape(s)}</p>" for s in section.sentences)
        for section in sections
    ]
    write_atomic(path, ("<!doctype html><meta charset=utf-8>" + "\n".join(parts)).encode())
