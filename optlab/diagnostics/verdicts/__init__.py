"""Sentences with numbers on what goes wrong inside a run, one rule per file.

A rule is a pure function of a run's records and a few facts of it; its thresholds stand above it,
with their reasons. How often rules miss, and alarm for nothing, is measured by
``scripts/measure_verdicts.py``.
"""

from optlab.diagnostics.verdicts.facts import Facts
from optlab.diagnostics.verdicts.histories import Histories
from optlab.diagnostics.verdicts.history import Curve, History
from optlab.diagnostics.verdicts.judge import RULES, verdicts

__all__ = ["RULES", "Curve", "Facts", "Histories", "History", "verdicts"]
