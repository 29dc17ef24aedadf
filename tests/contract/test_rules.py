"""Every promise of the contract (`optlab.check`), for every registered optimizer in all its forms.

What is random in these promises has a fixed seed; symmetries over random examples are in
tests/optim/test_rule_properties.py. That each promise notices its fault is in tests/check.
"""

import pytest

from optlab.check import PROMISES, Broken, Case, Promise, held
from tests.contract.forms import CASES, first_of_each

CHECKS = [
    pytest.param(promise, case, id=f"{promise.name}-{case}")
    for promise in PROMISES
    for case in (CASES if promise.every_form else first_of_each(CASES))
]


@pytest.mark.parametrize(("promise", "case"), CHECKS)
def test_a_promise_is_kept(promise: Promise, case: Case) -> None:
    result = held(promise, case)
    assert not isinstance(result, Broken), str(result)


def test_every_optimizer_is_held_to_every_promise() -> None:
    held_to = {(check.values[0].name, check.values[1].name) for check in CHECKS}
    assert held_to == {(promise.name, case.name) for promise in PROMISES for case in CASES}
