"""What an optimizer is: its paper's update for ONE tensor, and the numbers it depends on.

A rule is written once, pure and without loops, and runs in three ways: as a `torch.optim.Optimizer`
(`optlab.optim.torch_optimizer`), inside a pure training step, and stacked over many runs with
`torch.vmap`. It must therefore

- return new tensors and leave its arguments as they are;
- accept for every float hyperparameter either a Python number or a 0-d tensor;
- accept ``state["step"]`` either as a Python number or as a 0-d tensor, and use
  `optlab.optim.math.bias_correction` to raise a number to its power;
- not ask for the value of a tensor (no ``if`` on one, no ``.item()``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from torch import Tensor

from optlab.config import validate

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
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy.__dict__.update(values)
        return copy

    @classmethod
    def float_names(cls) -> list[str]:
        """Return the names of the fields that may differ between runs of one program."""
        return [f.name for f in fields(cls) if isinstance(f.default, float)]


@dataclass(frozen=True)
class Rule:
    """An optimizer's update, its initial state, and what drivers need to know of it.

    Attributes:
        hyper: The hyperparameter dataclass.
        init_state: ``(param, hyper) -> state``. Entries are shaped like ``param`` or 0-d; a counter
            is a 0-d float32 tensor called ``step``. Nothing is shared with ``param``.
        update: ``(grad, param, state, hyper) -> (new_param, new_state)``.
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
    elementwise: bool = True
    iterate: Callable[[Tensor, State, Any], Tensor] | None = None
    torch_group: Mapping[str, Any] | None = None
