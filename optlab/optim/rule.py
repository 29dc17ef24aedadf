"""What an optimizer is: its paper's update for ONE tensor, and the numbers it depends on.

A rule is written once, pure and without loops, and runs in three ways: as a `torch.optim.Optimizer`
(`optlab.optim.torch_optimizer`), inside a pure training step, and stacked over many runs with
`torch.vmap`. It must therefore

- return new tensors and leave its arguments as they are;
- accept for every float hyperparameter either a Python number or a 0-d tensor;
- accept the scalars of its state (``state["step"]``) either as Python numbers or as 0-d tensors,
  and use `optlab.optim.math.bias_correction` to raise a number to the power of a counter;
- not ask for the value of a tensor (no ``if`` on one, no ``.item()``). What depends on the shape of
  a tensor or on a bool or str hyperparameter may be decided with ``if``.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self, TypeVar

import torch
from torch import Tensor

from optlab.config import validate

D = TypeVar("D")
State = Mapping[str, Any]
NewState = dict[str, Any]


@dataclass(frozen=True)
class Hyper:
    """Hyperparameters of a rule: a frozen dataclass with ranges in its annotations.

    Float fields may be replaced by tensors, one per run of a stack; bool and str fields are static
    and part of the program. Every subclass gives ``lr`` its default and range first.

    Attributes:
        lr: Learning rate.
        PACKED: Names under which torch groups several fields, such as
            ``{"betas": ("beta1", "beta2")}``. The torch class takes and stores the packed name.
    """

    PACKED: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    lr: float

    def __post_init__(self) -> None:
        validate(self, "optimizer")

    def with_values(self, **values: Any) -> Self:
        """Return a copy with some fields replaced, unchecked: a driver calls this every step."""
        return with_fields(self, values)

    @classmethod
    def float_names(cls) -> list[str]:
        """Return the names of the fields that may differ between runs of one program."""
        return list(_float_names(cls))  # type: ignore[arg-type]


def with_fields(instance: D, values: Mapping[str, Any]) -> D:
    """Return a copy of a frozen dataclass with some fields replaced, unchecked.

    What ``values`` holds beside fields is left out.
    """
    copy = object.__new__(type(instance))
    if torch.compiler.is_compiling():  # up to PyTorch 2.11 it does not follow __dict__
        for name in [field.name for field in fields(instance)]:  # type: ignore[arg-type]
            value = values[name] if name in values else getattr(instance, name)
            object.__setattr__(copy, name, value)
        return copy
    known = instance.__dict__
    copy.__dict__.update(known)
    copy.__dict__.update((name, value) for name, value in values.items() if name in known)
    return copy


@functools.cache
def _float_names(hyper: Any) -> tuple[str, ...]:
    return tuple(f.name for f in fields(hyper) if isinstance(f.default, float))


@dataclass(frozen=True)
class Rule:
    """An optimizer's update, its initial state, and what drivers need to know of it.

    Attributes:
        hyper: The hyperparameter dataclass.
        init_state: ``(param, hyper) -> state``. Nothing is shared with ``param``. The entries named
            in ``scalars`` are 0-d tensors (`optlab.optim.math.zero_step`, `scalar`); those of an
            elementwise rule are otherwise shaped like ``param``. Which entries there are may follow
            from the shape, from options that are no numbers, and from numbers being zero.
        update: ``(grad, param, state, hyper) -> (new_param, new_state)``.
        scalars: Entries of the state that are one number per tensor, such as the counter ``step``;
            a driver may hold them as Python numbers.
        elementwise: Whether every element is updated independently of the others, so that tensors
            may be laid end to end and updated as one.
        iterate: ``(param, state, hyper) -> param`` at which the model is evaluated, where that
            differs from the point at which gradients are taken (NAG).
        torch_group: What torch's own class keeps in a parameter group beyond our fields and that
            is constant here, such as ``{"dampening": 0}``; written by ``state_dict``.
    """

    hyper: type[Hyper]
    init_state: Callable[[Tensor, Any], NewState]
    update: Callable[[Tensor, Tensor, State, Any], tuple[Tensor, NewState]]
    scalars: tuple[str, ...] = ("step",)
    elementwise: bool = True
    iterate: Callable[[Tensor, State, Any], Tensor] | None = None
    torch_group: Mapping[str, Any] | None = None


def with_numbers(state: State, rule: Rule) -> NewState:
    """Return the state with its scalars, which live on the CPU, as Python floats.

    A rule then spends Python arithmetic, not tensor operations, on powers of its decay rates.
    """
    return {name: v.item() if name in rule.scalars else v for name, v in state.items()}
