"""What runs of one rule do after their gradients: everything but their numbers is shared."""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from optlab.optim.math import is_zero
from optlab.optim.regularizers import Regularizer
from optlab.optim.rule import Hyper, NewState, Rule, with_fields, with_numbers
from optlab.train.parts import Parts
from optlab.train.stack.vmapped.refusal import rule_of
from optlab.train.step import States, Tensors, updated_params


@dataclass(frozen=True, eq=False)
class Update:
    """The update of one run, for all runs whose `kind` is equal; compared by identity.

    Attributes:
        kind: What decides which operations are done: the rule, options that are no numbers, and
            which numbers are zero or off.
        rule: The rule.
        hyper: Hyperparameters of one of the runs.
        regularizer: Strengths of one of the runs.
        varied: Names of the hyperparameters that each run has of its own.
        strengths: Likewise of the strengths.
        num_rows: Training rows.
    """

    kind: tuple[Any, ...]
    rule: Rule
    hyper: Hyper
    regularizer: Regularizer
    varied: tuple[str, ...]
    strengths: tuple[str, ...]
    num_rows: int

    @cached_property
    def is_counted(self) -> bool:
        """Whether operations are left out in some updates (`leaves_operations_out`).

        It is then done outside of a compiled program, with scalars as Python numbers.
        """
        return leaves_operations_out(self.rule, self.hyper)

    def __call__(
        self, grads: Tensors, params: Tensors, states: States, numbers: Tensors, strengths: Tensors
    ) -> tuple[Tensors, States]:
        """Return new parameters and states of one run, whose numbers are 0-d tensors."""
        hyper, regularizer = with_fields(self.hyper, numbers), self.regularizer
        strong = with_fields(regularizer, strengths)
        return updated_params(grads, params, states, self.rule, hyper, strong, self.num_rows)

    def counted(self, states: States) -> States:
        """Return first states of a slice, their scalars as the update wants them.

        Scalars of a counted update begin as Python numbers where all runs begin with the same.
        """
        if not self.is_counted:
            return states

        def number(name: str, value: Tensor) -> Any:
            if name not in self.rule.scalars or bool((value != value[0]).any()):
                return value
            return value[0].item()

        return {
            param: {name: number(name, value) for name, value in state.items()}
            for param, state in states.items()
        }


def update_of(parts: Parts) -> Update:
    """Return the update of a run.

    Raises:
        NotStackable: When its optimizer is no rule.
    """
    chosen, regularizer = rule_of(parts), parts.regularizer
    rule, hyper = chosen.make.rule, chosen.hyper
    # A rate of zero is a number of a schedule; other zeros leave operations out.
    floats = hyper.float_names()
    varied = tuple(n for n in floats if n == "lr" or not is_zero(getattr(hyper, n)))
    names = [field.name for field in fields(regularizer)]
    strengths = tuple(n for n in names if getattr(regularizer, n))
    options = tuple((f.name, getattr(hyper, f.name)) for f in fields(hyper) if f.name not in varied)
    kind = (id(rule), options, strengths)
    return Update(kind, rule, hyper, regularizer, varied, strengths, len(parts.data.train))


def leaves_operations_out(rule: Rule, hyper: Hyper) -> bool:
    """Return whether a rule does other operations in its second update than in its first.

    It then looks at its counter, which has to be a Python number: with a tensor both sets of
    operations would be done in every update.
    """
    param = torch.eye(2, 3)
    state: NewState = rule.init_state(param, hyper)
    done: list[list[str]] = []
    for _ in range(2):
        numbers = with_numbers(state, rule) if not done else state
        with _Operations() as operations, torch.no_grad():
            param, state = rule.update(param + 1, param, numbers, hyper)
        done.append(operations.names)
    return done[0] != done[1]


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps the names of the operations that are done."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do the operation and keep its name."""
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))
