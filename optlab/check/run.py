"""``optlab check``: find optimizers, hold them to every promise, and say how each ended."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from optlab.check.case import Case, cases
from optlab.check.contract import PROMISES
from optlab.check.promise import Broken, Promise
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.optim.trial import place_of

WIDTH = 100


@dataclass(frozen=True)
class Verdict:
    """How one promise ended on one optimizer, over its forms.

    Attributes:
        promise: The promise.
        broken: What broke it, by form; empty when it is kept.
        num_forms: Forms that were checked.
        notes: What the checks had to say although the promise is kept.
    """

    promise: Promise
    broken: tuple[tuple[Case, Broken], ...]
    num_forms: int
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the promise is kept in every form."""
        return not self.broken


def verdicts(name: str, make: type[RuleOptimizer]) -> Iterator[Verdict]:
    """Yield how each promise of the contract ends on an optimizer class.

    A broken one that comes first is the last.
    """
    every = cases(name, make)
    for promise in PROMISES:
        checked = every if promise.every_form else every[:1]
        results = [(case, held(promise, case)) for case in checked]
        broken = tuple((case, r) for case, r in results if isinstance(r, Broken))
        notes = dict.fromkeys(r for _, r in results if isinstance(r, str))
        yield Verdict(promise, broken, len(checked), tuple(notes))
        if broken and promise.comes_first:
            return


def held(promise: Promise, case: Case) -> Broken | str | None:
    """Check one promise; return what broke it, or what its check had to say.

    An exception that is no `Broken` breaks the promise too; its last line in the rule's own file
    is named. The promise's remedy seldom is that of an exception (`Promise.mends_errors`).
    """
    try:
        return promise.check(case)
    except Broken as broken:
        place = "" if promise.comes_first else place_of(broken, case.rule)  # it says so itself
        return Broken(broken.expected, broken.found + place, broken.mend)
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), "")
        place = place_of(error, case.rule)
        mend = promise.mend if promise.mends_errors else None
        return Broken("no error", f"{type(error).__name__}: {reason}{place}", mend)


def show(verdict: Verdict, width: int = WIDTH) -> str:
    """Return the line of a verdict; a broken promise has three more."""
    if verdict.passed:
        notes = f" ({'; '.join(verdict.notes)})" if verdict.notes else ""
        return f"  passed  {verdict.promise.name}{notes}"
    case, broken = verdict.broken[0]
    form = ", ".join(f"{key}={value}" for key, value in case.form.items())
    where = f" with {form}" if form and len(verdict.broken) < verdict.num_forms else ""
    rows = {
        "expected": broken.expected,
        "found": f"{broken.found}{where}",
    }
    if broken.mend is not None:
        rows["mend"] = broken.mend or verdict.promise.mend
    lines = [f"  FAILED  {verdict.promise.name}"]
    for word, text in rows.items():
        head = f"            {word:<10}"
        lines += textwrap.wrap(text, width, initial_indent=head, subsequent_indent=" " * len(head))
    return "\n".join(lines)


def report_on(found: Iterable[tuple[str, type[RuleOptimizer]]]) -> Iterator[tuple[str, bool]]:
    """Hold optimizers to the contract; yield lines for a terminal, and whether all is well so far.

    Args:
        found: Names and classes.
    """
    for name, make in found:
        forms = cases(name, make)
        several = f", in {len(forms)} forms" if len(forms) > 1 else ""
        yield f"{name}: {make.__module__}.{make.__qualname__}{several}", True
        ended: list[bool] = []
        for verdict in verdicts(name, make):
            ended.append(verdict.passed)
            yield show(verdict), verdict.passed
        left = len(PROMISES) - len(ended)
        untried = f"; the other {left} promises were not tried" if left else ""
        yield f"{_sum(ended)}{untried}", all(ended)


def _sum(ended: Sequence[bool]) -> str:
    failed = len(ended) - sum(ended)
    return f"{sum(ended)} passed, {failed} failed"
