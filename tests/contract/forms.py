"""Every registered optimizer, and some transformed ones, in all forms, for the contract tests."""

from typing import Any

import pytest

from optlab.check import Case, cases
from optlab.check.case import forms as forms
from optlab.optim import RuleOptimizer
from optlab.registry import optimizers
from tests.optim import transformed

OptimizerClass = type[RuleOptimizer]
CLASSES = [*optimizers.items(), *((make.__name__, make) for make in transformed.CLASSES)]
CASES = [case for name, make in CLASSES for case in cases(name, make)]


def label(name: str, form: dict[str, Any]) -> str:
    return "-".join([name, *(f"{key}={value}" for key, value in form.items())])


every_form = pytest.mark.parametrize(
    ("make", "form"), [pytest.param(case.make, dict(case.form), id=str(case)) for case in CASES]
)


def first_of_each(found: list[Case]) -> list[Case]:
    """Return the default form of each class."""
    return list({case.name: case for case in reversed(found)}.values())[::-1]
