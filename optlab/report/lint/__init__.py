"""What is unequal, or too little, in a comparison: rules, a file each or a few alike in one.

A rule is a function of the evidence that returns its objections, none where all is well.
"""

from collections.abc import Callable

from optlab.report.evidence import Evidence
from optlab.report.lint.budgets import unequal_budgets, unequal_gradients
from optlab.report.lint.crossing import confounded
from optlab.report.lint.edges import edge_optimum
from optlab.report.lint.environment import mixed_environment
from optlab.report.lint.missing import missing_runs, unfinished_runs
from optlab.report.lint.seeds import few_seeds, lucky_cells, unequal_seeds
from optlab.report.page import Objection

Rule = Callable[[Evidence], list[Objection]]

#: Those first whose command can mend what others object to as well.
RULES: tuple[Rule, ...] = (
    missing_runs,
    unfinished_runs,
    confounded,
    unequal_budgets,
    unequal_gradients,
    unequal_seeds,
    lucky_cells,
    few_seeds,
    edge_optimum,
    mixed_environment,
)


def objections(evidence: Evidence) -> list[Objection]:
    """Return what every rule objects to, in the order of `RULES`."""
    return [objection for rule in RULES for objection in rule(evidence)]
