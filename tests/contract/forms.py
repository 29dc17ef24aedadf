"""Every registered optimizer in all of its forms, for the contract tests.

A form is one choice of the bool and text fields of a rule's hyperparameters.
"""

import dataclasses
import itertools
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import torch
from torch import Tensor

from optlab.optim import Hyper, RuleOptimizer
from optlab.registry import optimizers

OptimizerClass = type[RuleOptimizer]


def forms(hyper: type[Hyper]) -> list[dict[str, Any]]:
    """Return every combination of the fields that are not numbers."""
    hints = get_type_hints(hyper)
    names = [f.name for f in dataclasses.fields(hyper) if f.name not in hyper.float_names()]
    choices = [
        get_args(h) if get_origin(h) is Literal else (False, True) for h in map(hints.get, names)
    ]
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*choices)]


def label(name: str, form: dict[str, Any]) -> str:
    return "-".join([name, *(f"{key}={value}" for key, value in form.items())])


every_form = pytest.mark.parametrize(
    ("make", "form"),
    [
        pytest.param(make, form, id=label(name, form))
        for name, make in optimizers.items()
        for form in forms(make.rule.hyper)
    ],
)
every_rule = pytest.mark.parametrize(
    "make", [pytest.param(make, id=name) for name, make in optimizers.items()]
)


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
