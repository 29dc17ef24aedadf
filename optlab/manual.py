"""``optlab show GROUP NAME`` and the README's table of optimizers, both made of docstrings.

A rule's module has the equations, the symbols, the source and the differences; its hyperparameters
have defaults, ranges and meanings; its state is measured. Nothing is written a second time.

    python -m optlab.manual README.md     writes the table between its two comments anew
"""

import dataclasses
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import torch

import optlab.build  # noqa: F401 - fills the registries
from optlab import catalog, registry
from optlab.config.check import describe
from optlab.optim import foreign
from optlab.optim.rule import Rule
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.optim.transformed import Transform
from optlab.optim.transforms import averaged, cautious, lookahead

#: What stands around the generated table in a Markdown file.
BEGIN, END = "<!-- optimizers: begin -->", "<!-- optimizers: end -->"
WIDTH = 100
SIDE = 128

#: What documents a choice that no registry holds.
BESIDE_REGISTRIES = {("optimizer", "foreign"): foreign}

#: The function of each transform, and its fields in the configuration.
TRANSFORMS = {
    ("transform", "cautious"): (cautious, ["cautious"]),
    ("transform", "lookahead"): (lookahead, ["lookahead_steps", "lookahead_alpha"]),
    ("transform", "ema"): (averaged, ["ema", "ema_bias_correction"]),
}


def page(group: str, name: str, own: catalog.Texts = catalog.NO_PLUGINS) -> str:
    """Return all that is written on one choice, for a terminal.

    Args:
        group: A group of the configuration, singular or plural.
        name: One of its choices.
        own: What plugins add (`optlab.catalog.of_plugins`).

    Raises:
        ConfigError: For an unknown group or name.
    """
    group = catalog.resolve(group)
    summary, options = catalog.entry(group, name, own)
    head = _head(name, summary, catalog.typed(options))
    named = catalog.configured(group, name)
    made = next((dict(g.items()).get(named) for g in registry.GROUPS if g.group == group), None)
    parts: Iterable[str] = [inspect.getdoc(made) or "", _where(made)] if made is not None else []
    if (group, named) in BESIDE_REGISTRIES:
        parts = [inspect.getdoc(BESIDE_REGISTRIES[group, named]) or ""]
    elif (group, named) in TRANSFORMS:
        function, names = TRANSFORMS[group, named]
        parts = _of_a_transform(function, {name: options[name] for name in names})
    elif isinstance(made, type) and issubclass(made, RuleOptimizer):
        parts = _of_a_rule(made)
    return "\n\n".join(part for part in (head, *parts) if part)


def table() -> str:
    """Return the summary of every optimizer as a Markdown table."""
    names: dict[type[RuleOptimizer], list[str]] = {}
    for name, make in registry.optimizers.items():
        if make.__module__.startswith("optlab."):
            names.setdefault(make, []).append(name)
    rows = [
        (
            ", ".join(f"`{name}`" for name in own),
            _defaults(make),
            state_size(make.rule),
            equal(make),
        )
        for make, own in names.items()
    ]
    head = ["| `optimizer=` | defaults | state per parameter | equal to |", "|---|---|---|---|"]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])


def state_size(rule: Rule) -> str:
    """Return the size of a rule's state in multiples of the parameter, scalars left out.

    Measured on a vector and on a square matrix of 128 rows, where these differ.
    """
    vector, matrix = (_multiple(rule, shape) for shape in ((SIDE,), (SIDE, SIDE)))
    if vector == matrix:
        return f"{vector:.3g}"
    return f"{vector:.3g} (vector), {matrix:.3g} ({SIDE} x {SIDE})"


def equal(make: type[RuleOptimizer]) -> str:
    """Return what computes the same elsewhere: torch's class, or what the docstring names."""
    if make.torch_class is not None:
        defaults = {f.name: f.default for f in dataclasses.fields(make.rule.hyper)}
        other = {k: v for k, v in make.torch_form.items() if defaults[k] != v}
        form = ", ".join(f"`{name}={str(value).lower()}`" for name, value in other.items())
        return f"`torch.optim.{make.torch_class.__name__}`" + (f" at {form}" if form else "")
    text = " ".join((inspect.getdoc(sys.modules[make.__module__]) or "").split())
    text = text[text.find("Differs from") :] if "Differs from" in text else ""
    source = re.match(r"Differs from (.+?), whose \w+ and defaults these are", text)
    same = re.search(r"[:.] ([^.:;]*?)[Ee]qual to ((?:[^.;]|\.(?! |$))+)", text)
    found = source[1] if source else "".join(same.groups()) if same else "-"
    return found.replace("``", "`").replace(" and to ", " and ")


def _of_a_rule(make: type[RuleOptimizer]) -> Iterator[str]:
    """Yield the parts of an optimizer's page."""
    yield inspect.getdoc(importlib.import_module(make.__module__)) or ""
    yield "\n".join(["Options:", *_options(make.rule.hyper)])
    numbers = len(_state(make.rule, (SIDE,)).keys() & set(make.rule.scalars))
    beside = f" and {numbers} number{'s' * (numbers > 1)} per tensor" if numbers else ""
    size = f"Size of the state in multiples of the parameter: {state_size(make.rule)}{beside}."
    yield textwrap.fill(size, WIDTH)
    if equal(make) != "-":
        yield f"Equal to: {equal(make).replace('`', '')}."
    yield _where(make)


def _of_a_transform(function: Any, values: Mapping[str, str]) -> Iterator[str]:
    """Yield the parts of a transform's page, its fields with the values of the choice."""
    yield inspect.getdoc(function) or ""
    yield "\n".join(["Options:", *_options(Transform, values)])
    yield _where(function)


def _head(name: str, summary: str, options: str) -> str:
    """Return what stands in ``optlab list``, in lines of `WIDTH`."""
    side = " " * (len(name) + 2)
    wrapper = textwrap.TextWrapper(
        WIDTH, subsequent_indent=side, break_long_words=False, break_on_hyphens=False
    )
    lines = wrapper.wrap(f"{name}  {summary}")
    wrapper.initial_indent = side
    return "\n".join([*lines, *wrapper.wrap(options)])


def _options(hyper: Any, values: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield the options of a rule, or those of ``values``: default or value, range, meaning."""
    hints = get_type_hints(hyper, include_extras=True)
    text = (inspect.getdoc(hyper) or "").partition("Attributes:\n")[2]
    meanings = dict(re.findall(r"^ {4}(\w+): (.+(?:\n {5,}.+)*)", text, re.MULTILINE))
    if values is None:
        values = {field.name: _typed(field.default) for field in dataclasses.fields(hyper)}
    for name, value in values.items():
        yield f"  {name}={value}  ({describe(hints[name])})"
        meaning = " ".join(meanings.get(name, "").split())
        yield from textwrap.wrap(meaning, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _where(made: Any) -> str:
    return f"In Python: {made.__module__}.{made.__qualname__}"


def _defaults(make: type[RuleOptimizer]) -> str:
    fields = dataclasses.fields(make.rule.hyper)
    return " ".join(f"`{field.name}={_typed(field.default)}`" for field in fields)


def _typed(value: Any) -> str:
    """Return a default as it is typed on the command line."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _multiple(rule: Rule, shape: tuple[int, ...]) -> float:
    state = _state(rule, shape)
    kept = sum(v.numel() for name, v in state.items() if name not in rule.scalars)
    return kept / torch.Size(shape).numel()


def _state(rule: Rule, shape: tuple[int, ...]) -> dict[str, torch.Tensor]:
    make: Any = rule.hyper
    return rule.init_state(torch.zeros(shape), make())


def renewed(text: str) -> str:
    """Return a Markdown text with the table between its two comments made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        path = Path(argument)
        path.write_text(renewed(path.read_text("utf-8")), "utf-8")
