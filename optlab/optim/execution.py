"""How one parameter group is updated: through compiled kernels where they apply, else eagerly.

Both ways apply the same function (`optlab.optim.apply.updated`) and give the same bits, but for
square roots that PyTorch's library does not round correctly; the eager one takes any tensor, on any
device, one at a time, or many small ones of a shape together (`optlab.optim.stacking`).
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from optlab.config import ConfigError
from optlab.optim.apply import in_working_precision, updated
from optlab.optim.fast import CompiledGroup, NotCompiled
from optlab.optim.fast.group import States, has_state
from optlab.optim.fast.kernel import numbers_of, program_key
from optlab.optim.groups import GradientOptions
from optlab.optim.math import is_zero
from optlab.optim.rule import Hyper, Rule, State, with_numbers
from optlab.optim.stacking import stacked_step, stacks_of


class Execution:
    """The updates of one group, step after step.

    Attributes:
        reason: Why the group is updated eagerly; empty where it is compiled.
    """

    def __init__(self, name: str, rule: Rule) -> None:
        self.reason = ""
        self._name, self._rule = name, rule
        self._compiled: CompiledGroup | None = None
        self._device: torch.device | None = None
        self._hyper: Hyper
        self._options: GradientOptions
        self._program: Any = None
        self._may_stack = True

    def prepare(
        self,
        params: Sequence[Tensor],
        states: States,
        hyper: Hyper,
        options: GradientOptions,
        owned: bool = False,
    ) -> None:
        """Find what there is to update, and refuse what cannot be; nothing moves yet.

        Args:
            params: Parameters of the group.
            states: Their states; missing ones are made.
            hyper: Hyperparameters.
            options: What is done before the rule.
            owned: Nobody else puts other tensors in the place of parameters and states, so that
                they are looked at once.

        Raises:
            RuntimeError: For a sparse gradient, or for counters that a CUDA graph would freeze.
            ConfigError: When ``options.fast`` asks for kernels that cannot be had.
        """
        if self._program is None or hyper is not self._hyper or options is not self._options:
            self._read(hyper, options)
        self._states = states
        compiling = torch.compiler.is_compiling()
        if not compiling and (self._compiled is None or not owned):
            self._choose(params)
        if compiling or self._compiled is None:
            self._left = [p for p in params if p.grad is not None]
            self._complete_states(params)
        else:
            self._left = self._compiled.gather()
        if self._left:
            self._refuse_frozen_counters()
            self._refuse_sparse_gradients()

    @property
    def description(self) -> str:
        """How the last step was made: "compiled" or "eager: why"."""
        return f"eager: {self.reason}" if self.reason else "compiled"

    def run(self) -> None:
        """Update every parameter that has a gradient, once."""
        hyper, options = self._hyper, self._options
        if self._compiled is not None and not torch.compiler.is_compiling():
            self._compiled.step(numbers_of(hyper, options) if self._varies else self._numbers)
        if self._left:
            with torch.no_grad(), exact_products(self._left[0].device.type):
                self._run_eagerly(with_cpu_numbers(hyper), options)

    def _refuse_sparse_gradients(self) -> None:
        if any(p.grad is not None and p.grad.layout is not torch.strided for p in self._left):
            raise RuntimeError(
                f"{self._name} does not support sparse gradients: build the layer with "
                "sparse=False, or use torch.optim.SparseAdam for its parameters"
            )

    def _refuse_frozen_counters(self) -> None:
        on_cuda = self._left[0].is_cuda and not self._options.capturable
        if not on_cuda or not torch.cuda.is_current_stream_capturing():
            return
        if set(self._rule.scalars) & self._rule.init_state(torch.empty(0), self._hyper).keys():
            raise RuntimeError(
                f"{self._name} keeps its counters on the CPU, and a CUDA graph would replay one "
                "count for ever; create it with capturable=True"
            )

    def _run_eagerly(self, hyper: Hyper, options: GradientOptions) -> None:
        """Update what has no kernel: many small tensors of one shape together, others alone."""
        rule, states, left = self._rule, self._states, self._left
        if not rule.elementwise and self._may_stack and _allows_stacks(options):
            for param in left:
                if not states.get(param):
                    has_state(rule, param, states, hyper, options)
            stacks, left = stacks_of(rule, left, states)
            for stack in stacks:
                try:
                    stacked_step(rule, stack, states, hyper, options)
                except RuntimeError:  # an operation that torch.vmap does not know
                    self._may_stack, left = False, left + stack
        for param in left:
            eager_step(rule, param, states, hyper, options)

    def _read(self, hyper: Hyper, options: GradientOptions) -> None:
        """Take over options that are new since the last step."""
        if self._program is not None and self._only_lr_changed(hyper, options):
            self._hyper = hyper
            self._set_numbers()
            return
        self._hyper, self._options = hyper, options
        program = (program_key(hyper, options), _zeros(hyper), options.fast)
        if program != self._program:
            self._program, self._compiled, self.reason, self._incomplete = program, None, "", True
        self._set_numbers()

    def _only_lr_changed(self, hyper: Hyper, options: GradientOptions) -> bool:
        """Return whether this is what a schedule does in every step."""
        before, now = vars(self._hyper), vars(hyper)
        changed = [name for name in now if now[name] is not before.get(name)]
        return options is self._options and changed == ["lr"]

    def _set_numbers(self) -> None:
        self._varies = any(isinstance(value, Tensor) for value in vars(self._hyper).values())
        self._numbers = [] if self._varies else numbers_of(self._hyper, self._options)

    def _complete_states(self, params: Sequence[Tensor]) -> None:
        """Add entries that an option asks for only now, such as a momentum raised from 0."""
        if self._incomplete:
            for param in params:
                if self._states.get(param):
                    has_state(self._rule, param, self._states, self._hyper, self._options)
            self._incomplete = False

    def forget(self) -> None:
        """Look at the states again: some were replaced."""
        self._compiled = None

    def _choose(self, params: Sequence[Tensor]) -> None:
        """Keep or renew the kernels."""
        device = params[0].device if params else None
        if device != self._device:  # the module was moved
            self._device, self._compiled, self.reason = device, None, ""
        if self.reason or (self._compiled is not None and self._compiled.is_current(params)):
            return
        hyper, options = self._hyper, self._options
        try:
            _refuse(options)
            with torch.no_grad():
                self._compiled = CompiledGroup(self._rule, params, self._states, hyper, options)
        except NotCompiled as reason:
            if options.fast:
                raise ConfigError(f"fast=True is not possible: {reason} (optimizer.fast)") from None
            self._compiled, self.reason = None, str(reason)


def eager_step(
    rule: Rule, param: Tensor, states: States, hyper: Hyper, options: GradientOptions
) -> None:
    """Replace a parameter and its state by what the rule makes of them.

    Hyperparameters on the CPU are to be numbers (`with_cpu_numbers`).
    """
    if param.grad is None:
        return
    if not states.get(param):
        has_state(rule, param, states, hyper, options)
    state = states.get(param, {})
    numbers = state if options.capturable else with_cpu_scalars(state, rule)
    new_param, new_state = updated(rule, param.grad, param, numbers, hyper, options)
    param.copy_(new_param)
    for name, value in new_state.items():
        state[name].fill_(value) if isinstance(value, float) else state[name].copy_(value)


def evaluation_point(
    rule: Rule, param: Tensor, states: States, hyper: Hyper, options: GradientOptions
) -> Tensor:
    """Return a copy of the point at which the model is judged: the rule's iterate."""
    state = states.get(param)
    if rule.iterate is None or not state:
        return param.detach().clone()
    numbers = state if options.capturable else with_cpu_scalars(state, rule)
    point = rule.iterate(in_working_precision(param.detach()), numbers, with_cpu_numbers(hyper))
    return point.to(param.dtype)


def exact_products(device: str) -> AbstractContextManager[object]:
    """Return a context in which matrix products have the precision of their operands.

    A step inside ``torch.autocast`` would otherwise orthogonalize in bfloat16.
    """
    if device in ("cpu", "cuda") and torch.is_autocast_enabled(device):
        return torch.autocast(device, enabled=False)
    return nullcontext()


def with_cpu_scalars(state: State, rule: Rule) -> State:
    """Return a state whose scalars are Python floats, unless they are on a device.

    They are where the group goes through kernels on a device; nobody waits for their values.
    """
    on_device = any(name in state and state[name].device.type != "cpu" for name in rule.scalars)
    stay = on_device or torch.compiler.is_compiling()  # which breaks its graph at a value
    return state if stay else with_numbers(state, rule)


def with_cpu_numbers(hyper: Hyper) -> Hyper:
    """Return hyperparameters with tensors on the CPU replaced by their values.

    Rules then compute with Python's float64, whatever the tensor's dtype; a tensor on another
    device stays, because asking for its value would wait for that device.
    """
    values = {name: value for name, value in vars(hyper).items() if isinstance(value, Tensor)}
    known = {name: v.item() for name, v in values.items() if v.device.type == "cpu"}
    return hyper.with_values(**known) if known else hyper


def _zeros(hyper: Hyper) -> tuple[str, ...]:
    """Return the hyperparameters that are zero, on which the entries of a state may depend.

    The learning rate is left out: that of a warm-up begins at zero and would ask for news at once.
    """
    names = hyper.float_names()[1:]
    return tuple(name for name in names if is_zero(getattr(hyper, name)))


def _allows_stacks(options: GradientOptions) -> bool:
    compiling = torch.compiler.is_compiling()
    return options.fast is not False and not options.capturable and not compiling


def _refuse(options: GradientOptions) -> None:
    if options.fast is False:
        raise NotCompiled("fast=False")
