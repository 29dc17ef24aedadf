"""The sections of a report, a file each.

A section is a function of the evidence that returns a `Section`, or None where the evidence has
nothing to say about it. The report has them in the order of `SECTIONS`.
"""

from collections.abc import Callable

from optlab.report.evidence import Evidence
from optlab.report.page import Section
from optlab.report.sections.across_tasks import across_tasks
from optlab.report.sections.budget import budget
from optlab.report.sections.comparisons import comparisons
from optlab.report.sections.curves import curves
from optlab.report.sections.differences import differences
from optlab.report.sections.divergence import divergence
from optlab.report.sections.environment import environment
from optlab.report.sections.factors import factors
from optlab.report.sections.profiles import profiles
from optlab.report.sections.question import question
from optlab.report.sections.ranking import ranking
from optlab.report.sections.sensitivity import sensitivity
from optlab.report.sections.targets import steps_to_target
from optlab.report.sections.verdicts import verdicts

Builder = Callable[[Evidence], Section | None]

SECTIONS: tuple[Builder, ...] = (
    question,
    ranking,
    comparisons,
    across_tasks,
    curves,
    sensitivity,
    budget,
    steps_to_target,
    profiles,
    factors,
    divergence,
    verdicts,
    differences,
    environment,
)
