"""The contract of an optimizer, written once: for `optlab check` and for the tests."""

from optlab.check.case import Case, cases
from optlab.check.contract import PROMISES
from optlab.check.promise import Broken, Promise, expect
from optlab.check.run import Verdict, held, report_on, verdicts
from optlab.check.select import select

__all__ = [
    "PROMISES",
    "Broken",
    "Case",
    "Promise",
    "Verdict",
    "cases",
    "expect",
    "held",
    "report_on",
    "select",
    "verdicts",
]
