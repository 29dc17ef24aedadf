"""Driver 1: a rule as a `torch.optim.Optimizer`.

What torch's own optimizers do, these do: parameter groups, named parameters, closures, hooks,
schedulers, gradient scaling, state dicts. What differs, on purpose:

- every group is checked, at construction, in `add_param_group`, when loaded, and again in `step`
  when one of its values was replaced; unknown keys are refused;
- float16 and bfloat16 parameters have float32 state and arithmetic, rounded once at the end;
- `load_state_dict` keeps the saved values exact, refuses what belongs to another method, and copies
  (torch shares the tensors with the dict);
- sparse gradients and complex parameters are refused.

``param.grad`` is only read. A parameter without a gradient is skipped and its counter waits.
"""

import functools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from operator import is_
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import (
    ParamsT,
    _global_optimizer_post_hooks,
    _global_optimizer_pre_hooks,
)

from optlab.config import ConfigError
from optlab.optim import checkpoint, groups
from optlab.optim.execution import Execution, evaluation_point
from optlab.optim.groups import GradientOptions
from optlab.optim.rule import Hyper, Rule


class RuleOptimizer(Optimizer):
    """Base of the optimizer classes; a subclass sets ``rule`` and gets signature and docs from it.

    Attributes:
        rule: The update that this class applies.
        torch_class: torch's own class of the same method, where there is one.
        torch_form: Values of the rule's bool and str fields at which the two are the same.
        needs_full_rank: Why equal gradients up to rounding may give unequal steps; empty where they
            do not (SOAP).
        plain_steps: Steps that the method does not yet divide by the size of gradients (RAdam).
    """

    rule: ClassVar[Rule]
    torch_class: ClassVar[type[Optimizer] | None] = None
    torch_form: ClassVar[Mapping[str, Any]] = {}
    needs_full_rank: ClassVar[str] = ""
    plain_steps: ClassVar[int] = 0
    _at_iterate = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "rule" in cls.__dict__:
            cls.__signature__ = groups.signature_of(cls.rule.hyper)  # type: ignore[attr-defined]
            cls.__doc__ = groups.document(cls.__doc__, cls.rule.hyper)

    def __init__(self, params: ParamsT, *args: Any, **kwargs: Any) -> None:
        signature = groups.signature_of(self.rule.hyper)
        defaults = groups.bind(type(self).__name__, signature, args, kwargs)
        self._known: dict[int, tuple[list[Any], Hyper, GradientOptions]] = {}
        self._executions: dict[int, Execution] = {}
        self._seen_states: list[dict[str, Any]] = []
        super().__init__(params, defaults)

    @classmethod
    def from_hyper(cls, params: ParamsT, hyper: Hyper, **options: Any) -> "RuleOptimizer":
        """Return an optimizer with the hyperparameters of ``hyper`` and `GradientOptions`."""
        return cls(params, **groups.pack(hyper), **options)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, with its own options where it gives them.

        Raises:
            ConfigError: For an unknown option, a value out of range or a complex parameter.
        """
        if isinstance(param_group, dict):
            groups.refuse_unknown(type(self).__name__, param_group, self.defaults)
        super().add_param_group(param_group)
        try:
            self._options(len(self.param_groups) - 1)
            _refuse_unsupported(type(self).__name__, self.param_groups[-1]["params"])
        except ConfigError as error:
            self.param_groups.pop()
            raise ConfigError(f"parameter group {len(self.param_groups)}: {error}") from None

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient, once.

        Args:
            closure: Computes the loss and its gradients again, and returns the loss.
        """
        self._require_gradient_point("step")
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        # Everything is checked before anything moves.
        self._notice_new_states()
        executions = [self._prepared(index) for index in range(len(self.param_groups))]
        for execution in executions:
            execution.run()
        if len(self.state) != len(self._seen_states):
            self._seen_states = list(self.state.values())
        return loss

    @property
    def eager_reasons(self) -> list[str]:
        """Why each group was updated eagerly at the last step; empty where it was compiled."""
        groups_ = range(len(self.param_groups))
        return [self._executions[i].reason if i in self._executions else "" for i in groups_]

    @staticmethod
    def profile_hook_step(func: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``step`` for hooks and profilers, as torch does, but only where there are any.

        torch's wrapper takes as long as the update of a small model.
        """
        observed = Optimizer.profile_hook_step(func)

        @functools.wraps(func)
        def step(self: RuleOptimizer, *args: Any, **kwargs: Any) -> Any:
            if _is_observed(self):
                return observed(self, *args, **kwargs)
            return func(self, *args, **kwargs)

        return step

    @torch.no_grad()
    def iterates(self) -> list[Tensor]:
        """Return copies of the points at which the model is to be judged, in order of parameters.

        They are the parameters themselves, except for rules that take gradients elsewhere (NAG).
        """
        return [
            evaluation_point(self.rule, param, self.state, *self._options(index))
            for index, group in enumerate(self.param_groups)
            for param in group["params"]
        ]

    @contextmanager
    def at_iterate(self) -> Iterator[None]:
        """Put the iterates into the parameters inside a ``with`` block, for evaluation.

        The parameters come back bit for bit, also after an exception; `step` is refused inside.
        """
        self._require_gradient_point("at_iterate")
        params = [param for group in self.param_groups for param in group["params"]]
        saved = [param.detach().clone() for param in params]
        self._at_iterate = True
        try:
            _write(params, self.iterates())
            yield
        finally:
            _write(params, saved)
            self._at_iterate = False

    def state_dict(self) -> dict[str, Any]:
        """Return the state in torch's layout; torch's class loads it where the rule is the same."""
        packed = super().state_dict()
        for group in packed["param_groups"]:
            checkpoint.add_torch_keys(group, self.rule, self.torch_form)
            group.pop("fast")  # how, not what; torch's classes do not know it
        return packed

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state saved by this class, or by torch's where the rule is the same.

        Raises:
            ConfigError: For the state of another method, another form of this one, or other
                parameters. The optimizer is then unchanged.
        """
        self._require_gradient_point("load_state_dict")
        state_dict = state_dict.copy()
        for before in self._optimizer_load_state_dict_pre_hooks.values():
            changed = before(self, state_dict)
            state_dict = state_dict if changed is None else changed
        self.__setstate__(self._read(state_dict))
        for after in self._optimizer_load_state_dict_post_hooks.values():
            after(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._known, self._executions, self._seen_states = {}, {}, []
        # torch plants this key for its own classes; a later group would inherit it.
        self.defaults.pop("differentiable", None)

    def _read(self, state_dict: Mapping[str, Any]) -> dict[str, Any]:
        """Return the checked state and groups of a state dict."""
        saved = state_dict["param_groups"]
        checkpoint.same_length(saved, self.param_groups)
        read = [
            checkpoint.read_group(old, new, self.rule, self.torch_form)
            for old, new in zip(saved, self.param_groups, strict=True)
        ]
        for group in read:
            groups.refuse_unknown(type(self).__name__, group, self.defaults)
        options = [groups.read(self.rule.hyper, group) for group in read]
        state = checkpoint.read_state(state_dict["state"], saved, read, self.rule, options)
        return {"state": defaultdict(dict, state), "param_groups": read}

    def _options(self, index: int) -> tuple[Hyper, GradientOptions]:
        """Return the checked options of a group, read again only when a value was replaced."""
        group = self.param_groups[index]
        values = [group[name] for name in self.defaults]
        known = self._known.get(index)
        if known is None or not all(map(_unchanged, values, known[0])):
            kept = [list(value) if isinstance(value, list) else value for value in values]
            known = self._known[index] = (kept, *groups.read(self.rule.hyper, group))
        return known[1], known[2]

    def _notice_new_states(self) -> None:
        """Look for states that a user put in the place of ours, or took away."""
        states, seen = self.state.values(), self._seen_states
        if len(states) != len(seen) or not all(map(is_, states, seen)):
            for execution in self._executions.values():
                execution.forget()
            self._seen_states = list(states)

    def _prepared(self, index: int) -> Execution:
        execution = self._executions.get(index)
        if execution is None:
            execution = self._executions[index] = Execution(type(self).__name__, self.rule)
        params = self.param_groups[index]["params"]
        execution.prepare(params, self.state, *self._options(index))
        return execution

    def _require_gradient_point(self, what: str) -> None:
        if self._at_iterate:
            raise RuntimeError(
                f"{what} inside at_iterate(): the parameters hold the evaluation point; "
                "leave the with block first"
            )


def _is_observed(optimizer: Optimizer) -> bool:
    """Return whether anything watches steps: hooks of this optimizer, of all, or a profiler."""
    return bool(
        optimizer._optimizer_step_pre_hooks
        or optimizer._optimizer_step_post_hooks
        or _global_optimizer_pre_hooks
        or _global_optimizer_post_hooks
        or torch._C._autograd._profiler_enabled()
    )


def _unchanged(value: Any, known: Any) -> bool:
    """Return whether a group's value is the one last read; tensors are not asked for theirs.

    A list is compared entry by entry: ``betas[0] = 0.5`` leaves it the same list.
    """
    if type(value) is type(known) is list:
        return len(value) == len(known) and all(map(_unchanged, value, known))
    return value is known or (type(value) is type(known) is float and value == known)


@torch.no_grad()
def _write(params: list[Tensor], values: list[Tensor]) -> None:
    for param, value in zip(params, values, strict=True):
        param.copy_(value)


def _refuse_unsupported(name: str, params: list[Tensor]) -> None:
    """Raise a `ConfigError` for parameters that no update could take."""
    for param in params:
        if param.is_complex():
            raise ConfigError(
                f"{name} does not support complex parameters; optimize torch.view_as_real(param), "
                "which has a last axis of size 2"
            )
        if param.layout is not torch.strided:
            raise ConfigError(
                f"{name} does not support sparse parameters, got {param.layout}; optimize "
                "param.to_dense()"
            )
        if not param.is_floating_point():
            raise ConfigError(
                f"{name} updates floating-point parameters, got {param.dtype}; leave it out or "
                "convert it with param.float()"
            )
