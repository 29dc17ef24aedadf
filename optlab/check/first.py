"""What all other promises take for granted: a state, and an update that returns what it must."""

import torch

from optlab.check.case import Case, random
from optlab.check.promise import Broken, promise
from optlab.optim.trial import fault_of_an_update


@promise(
    "update returns the parameter and the state of init_state",
    mend="look at the line that is named",
    comes_first=True,
)
def returns_parameter_and_state(case: Case) -> None:
    """A state is a mapping of tensors, and every update returns its entries again."""
    for dtype in (torch.float32, torch.float64):
        param, grad = random(4, 3, seed=1, dtype=dtype), random(4, 3, seed=2, dtype=dtype)
        fault = fault_of_an_update(case.rule, case.hyper, param, grad, numbers=False)
        if fault is not None:
            expected = f"that {fault.subject} should {fault.wanted}"
            raise Broken(expected, fault.found, fault.mend or None)
