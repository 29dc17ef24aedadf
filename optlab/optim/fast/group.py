"""A parameter group on the compiled path: which tensors go through which kernel."""

from collections import defaultdict
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any

from torch import Tensor

from optlab.optim.apply import first_state
from optlab.optim.fast.errors import NotCompiled
from optlab.optim.fast.kernel import kernel_for
from optlab.optim.fast.table import Table, gatherer, implementation
from optlab.optim.groups import GradientOptions
from optlab.optim.rule import Hyper, Rule

States = MutableMapping[Tensor, dict[str, Any]]


class CompiledGroup:
    """The tensors of a group, sorted by kernel.

    Args:
        rule: The update.
        params: Parameters of the group.
        states: States of the optimizer, by parameter; those of parameters that have a gradient are
            created here.
        hyper: Hyperparameters.
        options: What is done before the rule.

    Raises:
        NotCompiled: When the rule has no kernel here, or no parameter can go through one.
    """

    def __init__(
        self,
        rule: Rule,
        params: Sequence[Tensor],
        states: States,
        hyper: Hyper,
        options: GradientOptions,
    ) -> None:
        gatherer()
        self._params = list(params)
        self._impls = list(map(implementation, params))
        on_cpu = [p for p in params if p.device.type == "cpu"]
        if params and not on_cpu:
            raise NotCompiled(
                f"kernels are for tensors on the CPU, these are on {params[0].device}"
            )
        self._elsewhere = [p for p in params if p.device.type != "cpu"]
        self._ready = [p for p in on_cpu if has_state(rule, p, states, hyper, options)]
        ready = {id(p) for p in self._ready}
        self._waiting = [p for p in on_cpu if id(p) not in ready]
        self._tables = list(_tables(rule, self._ready, states, hyper, options))

    def is_current(self, params: Sequence[Tensor]) -> bool:
        """Return whether this still describes the group's tensors; otherwise make a new one."""
        return (
            list(map(implementation, params)) == self._impls
            and all(p.grad is None for p in self._waiting)
            and all(table.is_current() for table in self._tables)
        )

    def gather(self) -> list[Tensor]:
        """Look gradients up; return the parameters whose update is left to the caller."""
        left = [p for p in self._elsewhere if p.grad is not None]
        return left + [param for table in self._tables for param in table.gather()]

    def step(self, numbers: Sequence[float]) -> None:
        """Update what `gather` found, with the numbers of `optlab.optim.fast.kernel`."""
        for table in self._tables:
            table.step(numbers)


def has_state(
    rule: Rule, param: Tensor, states: States, hyper: Hyper, options: GradientOptions
) -> bool:
    """Return whether a parameter is ready for its update, completing its state if need be.

    One that never had a gradient is not: its state begins with its first gradient.
    """
    names = rule.init_state(param.new_empty(0), hyper).keys()
    state = states.get(param)
    if not names:
        return True
    if not state and param.grad is None:
        return False
    if not state or names - state.keys():
        states[param] = {**first_state(rule, param, hyper, options), **(state or {})}
    return True


def _tables(
    rule: Rule, params: Sequence[Tensor], states: States, hyper: Hyper, options: GradientOptions
) -> Iterator[Table]:
    alike: defaultdict[tuple[Any, ...], list[Tensor]] = defaultdict(list)
    for param in params:
        kinds = tuple((name, v.dtype) for name, v in states.get(param, {}).items())
        alike[param.dtype, kinds].append(param)
    for members in alike.values():
        own = [states.get(p, {}) for p in members]
        kernel = kernel_for(rule, hyper, options, members[0], own[0])
        yield Table(kernel, members, own)
