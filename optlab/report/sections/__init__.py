"""The sections of a report, a file each.

A section is a function of the evidence that returns a `Section`, or None where the evidence has
nothing to say about it. The report has them in the order of `SECTIONS`.
"""

from collections.abc import Callable

from optlab.report.evidence import Evidence
from optlab.report.page import Section

Builder = Callable[[Evidence], Section | None]

SECTIONS: tuple[Builder, ...] = ()
