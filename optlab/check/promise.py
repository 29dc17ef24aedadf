"""What a promise is: one sentence of the contract, the check that holds a rule to it, and a remedy.

A check takes a `Case`, returns nothing when the promise is kept and raises `Broken` when it is not;
any other exception breaks it too. It may return a sentence that a reader should know although the
promise is kept. The checks know no test framework: `optlab check` and the tests run the same ones.
"""

from collections.abc import Callable
from dataclasses import dataclass

from optlab.check.case import Case

Check = Callable[[Case], str | None]


class Broken(AssertionError):
    """A promise is not kept.

    Attributes:
        expected: What was expected.
        found: What was found.
        mend: How to mend it, where the promise's own remedy is not the one; None where nobody
            knows.
    """

    def __init__(self, expected: str, found: str, mend: str | None = "") -> None:
        super().__init__(f"expected {expected}; found {found}")
        self.expected, self.found, self.mend = expected, found, mend


@dataclass(frozen=True)
class Promise:
    """One sentence of the contract.

    Attributes:
        name: The sentence, of the rule or its class.
        check: Holds one case to it.
        mend: How a rule that breaks it is usually mended.
        every_form: Whether it is checked in all forms of a rule, or in the default one alone.
        mends_errors: Whether ``mend`` is the remedy also where the rule raised an exception.
        comes_first: Whether the others mean nothing where it is broken, and are not tried.
    """

    name: str
    check: Check
    mend: str
    every_form: bool = True
    mends_errors: bool = False
    comes_first: bool = False


def promise(name: str, mend: str, **traits: bool) -> Callable[[Check], Promise]:
    """Return a decorator that makes a promise of its check; see `Promise` for its traits."""
    return lambda check: Promise(name, check, mend, **traits)


def expect(kept: bool, expected: str, found: str, mend: str = "") -> None:
    """Raise `Broken` unless ``kept``."""
    if not kept:
        raise Broken(expected, found, mend)
