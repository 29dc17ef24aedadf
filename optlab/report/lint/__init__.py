"""What is unequal, or too little, in a comparison: rules, a file each or a few alike in one.

A rule is a function of the evidence that returns its objections, none where all is well.
"""

from collections.abc import Callable

from optlab.report.evidence import Evidence
from optlab.report.page import Objection

Rule = Callable[[Evidence], list[Objection]]

RULES: tuple[Rule, ...] = ()


def objections(evidence: Evidence) -> list[Objection]:
    """Return what every rule objects to, in the order of `RULES`."""
    return [objection for rule in RULES for objection in rule(evidence)]
