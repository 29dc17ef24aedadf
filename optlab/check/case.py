"""What a promise is checked on: an optimizer class in one of its forms.

A form is one choice of the bool and text fields of a rule's hyperparameters.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin, get_type_hints

import torch
from torch import Tensor, nn

from optlab.optim.rule import Hyper, Rule
from optlab.optim.torch_optimizer import RuleOptimizer


@dataclass(frozen=True)
class Case:
    """An optimizer class in one form.

    Attributes:
        name: What the class is called.
        make: The class.
        form: Values of the bool and text fields; empty for the default form.
    """

    name: str
    make: type[RuleOptimizer]
    form: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rule(self) -> Rule:
        """The rule of the class."""
        return self.make.rule

    @property
    def hyper(self) -> Hyper:
        """The default numbers, in this form."""
        make: Any = self.rule.hyper
        hyper: Hyper = make(**self.form)
        return hyper

    @property
    def is_default(self) -> bool:
        """Whether the form is the default one."""
        make: Any = self.rule.hyper
        return bool(self.hyper == make())

    def new(self, params: Any, **options: Any) -> RuleOptimizer:
        """Return an optimizer of ``params`` in this form."""
        make: Any = self.make
        optimizer: RuleOptimizer = make(params, **self.form, **options)
        return optimizer

    def __str__(self) -> str:
        return "-".join([self.name, *(f"{key}={value}" for key, value in self.form.items())])


def cases(name: str, make: type[RuleOptimizer]) -> list[Case]:
    """Return a class in all of its forms, the default one first."""
    found = [Case(name, make, form) for form in forms(make.rule.hyper)]
    return sorted(found, key=lambda case: not case.is_default)


def forms(hyper: type[Hyper]) -> list[dict[str, Any]]:
    """Return every combination of the bool and text fields."""
    hints = get_type_hints(hyper)
    choices = {
        name: get_args(hints[name]) if get_origin(hints[name]) is Literal else (False, True)
        for name in (f.name for f in dataclasses.fields(hyper))
        if get_origin(hints[name]) is Literal or hints[name] is bool
    }
    return [
        dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())
    ]


def without_decay(hyper: type[Hyper]) -> dict[str, float]:
    """Return the option that switches the decay of a rule off, if it has one of its own."""
    return {"weight_decay": 0.0} if "weight_decay" in hyper.float_names() else {}


def with_tensors(hyper: Hyper) -> Hyper:
    """Return hyperparameters with every float as a 0-d float64 tensor."""
    numbers = {n: getattr(hyper, n) for n in hyper.float_names()}
    return hyper.with_values(
        **{n: torch.tensor(v, dtype=torch.float64) for n, v in numbers.items()}
    )


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return normal numbers that depend on shape and seed alone."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def parameters(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float32) -> list[nn.Parameter]:
    """Return parameters of these shapes with random values."""
    return [nn.Parameter(random(*s, seed=i).to(dtype)) for i, s in enumerate(shapes, start=50)]


def set_gradients(params: Sequence[nn.Parameter], seed: int) -> None:
    """Give every parameter a random gradient."""
    for index, param in enumerate(params):
        param.grad = random(*param.shape, seed=100 * seed + index, dtype=param.dtype)


def tensors_of(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the entries of a state that are tensors."""
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def distance(a: Tensor, b: Tensor) -> str:
    """Say how far apart two tensors are."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"{tuple(a.shape)} {a.dtype} beside {tuple(b.shape)} {b.dtype}"
    if a.numel() == 0:
        return "no elements"
    if not (a.isfinite().all() and b.isfinite().all()):
        return f"{a.flatten()[:4].tolist()} beside {b.flatten()[:4].tolist()}"
    return f"a difference of {(a.double() - b.double()).abs().max().item():.2g}"
