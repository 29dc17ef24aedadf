"""What drivers, the command line and the documentation read off the hyperparameters."""

import dataclasses
import inspect
import re
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from optlab.check.case import Case
from optlab.check.promise import expect, promise
from optlab.config import ConfigError
from optlab.types import Range


@promise(
    "hyperparameters begin with lr, which may be 0",
    mend="write lr: NonNegative = 1e-3 as the first field; schedules end at 0",
    every_form=False,
)
def begin_with_lr(case: Case) -> None:
    """The driver, schedules and sweeps change ``lr`` by name."""
    hyper: Any = case.rule.hyper
    first = dataclasses.fields(hyper)[0].name
    expect(first == "lr", "lr as the first field", first)
    try:
        hyper(lr=0.0)
    except ConfigError as error:
        expect(False, "a range of lr that has 0 in it", str(error))


@promise(
    "hyperparameters are a frozen dataclass with a default and a range for every number",
    mend="put @dataclass(frozen=True) above it and write fields such as beta: Decay = 0.9",
    every_form=False,
)
def have_defaults_and_ranges(case: Case) -> None:
    """Defaults make it a choice of the command line; ranges refuse what cannot work."""
    hyper: Any = case.rule.hyper
    is_own = "__dataclass_fields__" in vars(hyper)
    expect(is_own, "a dataclass", f"{hyper.__name__} without @dataclass(frozen=True)")
    hints = get_type_hints(hyper, include_extras=True)
    for field in dataclasses.fields(hyper):
        name, default, hint = field.name, field.default, hints[field.name]
        expect(default is not dataclasses.MISSING, f"a default of {name}", "none")
        if float in _kinds(hint):
            write = f"write {name}: ... = {float(default)}" if type(default) is int else ""
            expect(type(default) is not int, f"a float for {name}", repr(default), write)
            expect(Range in _kinds(hint), f"a range of {name}", str(hint))
    hyper()


@promise(
    "the class and every hyperparameter are documented",
    mend='describe each under "Attributes:" in the docstring of the hyperparameters, and say in '
    "the docstring of the class what the method is",
    every_form=False,
)
def are_documented(case: Case) -> None:
    """Signatures, help and the tables of the documentation are made of these sentences."""
    hyper = case.rule.hyper
    text = (inspect.getdoc(hyper) or "").partition("Attributes:\n")[2]
    described = set(re.findall(r"^ {4}(\w+): \S", text, re.MULTILINE))
    missing = [f.name for f in dataclasses.fields(hyper) if f.name not in described]
    expect(not missing, "a sentence on each field", f"none on {', '.join(missing)}")
    summary = (case.make.__doc__ or "").partition("\n")[0]
    expect(bool(summary.strip()), "a sentence on the class", "none")


def _kinds(hint: Any) -> set[Any]:
    """Return the types in an annotation, and `Range` where one stands beside a number."""
    if get_origin(hint) is Annotated:
        beside = {type(extra) for extra in get_args(hint)[1:]}
        return _kinds(get_args(hint)[0]) | beside
    return {hint}.union(*(_kinds(part) for part in get_args(hint) if part is not ...))
