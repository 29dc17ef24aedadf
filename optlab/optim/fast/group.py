"""A parameter group on the compiled path: which tensors go through which kernel."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import torch
from torch import Tensor

from optlab.compiler import NotCompiled
from optlab.optim.apply import first_state
from optlab.optim.fast.cuda_table import CudaTable
from optlab.optim.fast.kernel import kernel_for
from optlab.optim.fast.table import Table, gatherer, implementation
from optlab.optim.groups import GradientOptions
from optlab.optim.rule import Hyper, Rule

States = MutableMapping[Tensor, dict[str, Any]]

#: How tensors are updated on each type of device that has kernels.
TABLES: Mapping[str, type[Table]] = {"cpu": Table, "cuda": CudaTable}


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
        RuntimeError: While a CUDA graph is captured.
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
        reasons = {id(p): _why_not(p, options) for p in params}
        taken = [p for p in params if not reasons[id(p)]]
        if params and not taken:
            raise NotCompiled(reasons[id(params[0])])
        _refuse_capture(taken)
        self._elsewhere = [p for p in params if reasons[id(p)]]
        self._ready = [p for p in taken if has_state(rule, p, states, hyper, options)]
        for param in self._ready:
            _bring_scalars(rule, param, states)
        ready = {id(p) for p in self._ready}
        self._waiting = [p for p in taken if id(p) not in ready]
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

    def step(self, numbers: Sequence[float | Tensor]) -> None:
        """Update what `gather` found, with the numbers of `optlab.optim.fast.kernel`."""
        for table in self._tables:
            table.step(numbers)


def has_state(
    rule: Rule, param: Tensor, states: States, hyper: Hyper, options: GradientOptions
) -> bool:
    """Return whether a parameter is ready for its update, completing its state if need be.

    One that never had a gradient is not: its state begins with its first gradient.
    """
    state = states.get(param)
    like = param.new_empty(0) if rule.elementwise or not state else param.detach()
    names = rule.init_state(like, hyper).keys()
    if not names:
        return True
    if not state and param.grad is None:
        return False
    if not state or names - state.keys():
        states[param] = {**first_state(rule, param, hyper, options), **(state or {})}
    return True


def _why_not(param: Tensor, options: GradientOptions) -> str:
    """Return why a parameter goes through no kernel; empty where it goes through one."""
    if type(param).__torch_dispatch__ is not Tensor.__torch_dispatch__:
        return f"kernels are for plain tensors, not for {type(param).__name__}"
    if param.device.type not in TABLES:
        return f"kernels are for tensors on the CPU or a CUDA device, these are on {param.device}"
    if param.device.type == "cuda" and not options.fast:
        return "kernels for CUDA were proven in emulation only and wait to be asked for: fast=True"
    if options.capturable and param.device.type == "cpu":
        return "capturable=True: counters stay tensors"
    return ""


def _refuse_capture(params: Sequence[Tensor]) -> None:
    """Raise for what a CUDA graph would do again at every replay: set counters to their start."""
    if any(p.is_cuda for p in params) and torch.cuda.is_current_stream_capturing():
        raise RuntimeError(
            "this step sets up the optimizer's state, which a CUDA graph would repeat at every "
            "replay; take one step with all gradients before capturing"
        )


def _bring_scalars(rule: Rule, param: Tensor, states: States) -> None:
    """Put a state's scalars beside the parameter: kernels read and advance them there.

    A number from the CPU is written by the device itself, which nobody waits for.
    """
    state = states.get(param, {})
    for name in rule.scalars:
        value = state.get(name)
        if isinstance(value, Tensor) and value.device != param.device:
            if value.device.type == "cpu":
                state[name] = torch.full_like(value, value.item(), device=param.device)
            else:
                state[name] = value.to(param.device)


def _tables(
    rule: Rule, params: Sequence[Tensor], states: States, hyper: Hyper, options: GradientOptions
) -> Iterator[Table]:
    alike: defaultdict[tuple[Any, ...], list[Tensor]] = defaultdict(list)
    for param in params:
        kinds = tuple((name, v.dtype) for name, v in _tensors(states, param).items())
        alike[param.device, param.dtype, kinds].append(param)
    for members in alike.values():
        own = [states.get(p, {}) for p in members]
        kernel = kernel_for(rule, hyper, options, members[0], _tensors(states, members[0]))
        make, most = TABLES[members[0].device.type], kernel.rows
        for first in range(0, len(members), most):
            yield make(kernel, members[first : first + most], own[first : first + most])


def _tensors(states: States, param: Tensor) -> dict[str, Tensor]:
    """Return the entries of a state that are tensors; others are a user's notes."""
    return {n: v for n, v in states.get(param, {}).items() if isinstance(v, Tensor)}
