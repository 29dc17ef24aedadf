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

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from operator import is_
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from optlab.config import ConfigError
from optlab.optim import checkpoint, groups
from optlab.optim.execution import Execution, evaluation_point
from optlab.optim.reading import GroupReading
from optlab.optim.rule import Hyper, Rule
from optlab.optim.watching import is_profiled, watched


class RuleOptimizer(Optimizer):
    """Base of the optimizer classes; a subclass sets ``rule`` and gets signature and docs from it.

    Attributes:
        rule: The update that this class applies.
        torch_class: torch's own class of the same method, where there is one.
        torch_form: Values of the rule's bool and str fields at which the two are the same.
        elsewhere: Options that torch's class has, and what stands in their place here.
        needs_full_rank: Why equal gradients up to rounding may give unequal steps; empty where they
            do not (SOAP).
        plain_steps: Steps that the method does not yet divide by the size of gradients (RAdam).
    """

    rule: ClassVar[Rule]
    torch_class: ClassVar[type[Optimizer] | None] = None
    torch_form: ClassVar[Mapping[str, Any]] = {}
    elsewhere: ClassVar[Mapping[str, str]] = {}
    needs_full_rank: ClassVar[str] = ""
    plain_steps: ClassVar[int] = 0
    _at_iterate = False
    _elsewhere_for_all: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("foreach", "fused"), "groups are updated in one compiled pass unless fast=False"
    )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "rule" in cls.__dict__:
            groups.refuse_reserved(cls.__name__, cls.rule.hyper)
            cls.__signature__ = groups.signature_of(cls.rule.hyper)  # type: ignore[attr-defined]
            cls.__doc__ = groups.document(cls.__doc__, cls.rule.hyper)

    def __init__(self, params: ParamsT, *args: Any, **kwargs: Any) -> None:
        signature = groups.signature_of(self.rule.hyper)
        elsewhere = {**self._elsewhere_for_all, **self.elsewhere}
        defaults = groups.bind(type(self).__name__, signature, elsewhere, args, kwargs)
        self._readings: list[GroupReading] = []
        self._executions: list[Execution] = []
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
            groups.read(self.rule.hyper, self.param_groups[-1])
            groups.refuse_unsupported(type(self).__name__, self.param_groups[-1]["params"])
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
        ready = list(zip(self.param_groups, *self._readings_and_executions(), strict=True))
        for group, reading, execution in ready:
            execution.prepare(group["params"], self.state, *reading.read(group))
        for _, _, execution in ready:
            execution.run()
        if len(self.state) != len(self._seen_states):
            self._seen_states = list(self.state.values())
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients, or set them to zero; torch's method, without its profiler's cost."""
        if not set_to_none or is_profiled():
            super().zero_grad(set_to_none)
            return
        for group in self.param_groups:
            for param in group["params"]:
                param.grad = None

    @property
    def eager_reasons(self) -> list[str]:
        """Why each group was updated eagerly at the last step; empty where it was compiled."""
        return [execution.reason for execution in self._readings_and_executions()[1]]

    @property
    def execution(self) -> str:
        """How the last step was made: "compiled", or "eager: why" of the first group that was."""
        each = [execution.description for execution in self._readings_and_executions()[1]]
        return next((text for text in each if text != "compiled"), "compiled")

    profile_hook_step = staticmethod(watched)  # type: ignore[assignment]

    @torch.no_grad()
    def iterates(self) -> list[Tensor]:
        """Return copies of the points at which the model is to be judged, in order of parameters.

        They are the parameters themselves, except for rules that take gradients elsewhere (NAG).
        """
        return [
            evaluation_point(self.rule, param, self.state, *groups.read(self.rule.hyper, group))
            for group in self.param_groups
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
        self._readings, self._executions, self._seen_states = [], [], []
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
        for group, current in zip(read, self.param_groups, strict=True):
            # A key that a user added to the group in use is no surprise in its file.
            groups.refuse_unknown(type(self).__name__, group, {**self.defaults, **current})
        options = [groups.read(self.rule.hyper, group) for group in read]
        state = checkpoint.read_state(state_dict["state"], saved, read, self.rule, options)
        return {"state": defaultdict(dict, state), "param_groups": read}

    def _notice_new_states(self) -> None:
        """Look for states that a user put in the place of ours, or took away."""
        states, seen = self.state.values(), self._seen_states
        if len(states) != len(seen) or not all(map(is_, states, seen)):
            for execution in self._executions:
                execution.forget()
            self._seen_states = list(states)

    def _readings_and_executions(self) -> tuple[list[GroupReading], list[Execution]]:
        """Return what reads and what updates each group, made when groups were added."""
        count = len(self.param_groups)
        while len(self._executions) < count:
            self._readings.append(GroupReading(self.rule.hyper, self.defaults))
            self._executions.append(Execution(type(self).__name__, self.rule))
        return self._readings[:count], self._executions[:count]

    def _require_gradient_point(self, what: str) -> None:
        if self._at_iterate:
            raise RuntimeError(
                f"{what} inside at_iterate(): the parameters hold the evaluation point; "
                "leave the with block first"
            )


@torch.no_grad()
def _write(params: list[Tensor], values: list[Tensor]) -> None:
    for param, value in zip(params, values, strict=True):
        param.copy_(value)
