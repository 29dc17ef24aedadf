"""``optlab show GROUP NAME`` and the README's table of optimizers, made of what is written already.

The table of options has the values and comments of the choice's YAML file and the ranges of the
signature's annotations. What a docstring says of the same options (Args, Attributes) is left out;
it stands in for a comment where there is none, as of plugins. Of a rule the module has the
equations, the symbols, the source and the differences; its state is measured.

    python -m optlab.manual README.md     writes the table between its two comments anew
"""

import dataclasses
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import torch

import optlab.build  # noqa: F401 - fills the registries
from optlab import catalog, registry
from optlab.config.check import describe, options_of
from optlab.config.schema import DiagnosticsConfig, LoggerConfig, TrainerConfig
from optlab.optim import foreign, regularizers
from optlab.optim.rule import Rule
from optlab.optim.torch_optimizer import RuleOptimizer
from optlab.optim.transformed import Transform
from optlab.optim.transforms import averaged, cautious, lookahead

#: What stands around the generated table in a Markdown file.
BEGIN, END = "<!-- optimizers: begin -->", "<!-- optimizers: end -->"
WIDTH = 100
SIDE = 128

#: What takes the options of a group without a registry.
SECTIONS: dict[str, Any] = {
    "trainer": TrainerConfig,
    "transform": Transform,
    "regularizer": regularizers.Regularizer,
    "diagnostics": DiagnosticsConfig,
    "logger": LoggerConfig,
}

#: What documents a choice, where it is not what takes its options.
ELSEWHERE: dict[tuple[str, str], Any] = {
    ("optimizer", "foreign"): foreign,
    ("transform", "cautious"): cautious,
    ("transform", "lookahead"): lookahead,
    ("transform", "ema"): averaged,
    **{("regularizer", name): regularizers for name in catalog.choices("regularizer")},
}

#: Sections of a docstring that explain options, and what they say of each.
ARGUMENTS = re.compile(r"^(Args|Attributes):\n((?: +\S.*\n?|\n(?= ))*)", re.MULTILINE)
ARGUMENT = re.compile(r"^ {4}(\w+): (.+(?:\n {5,}.+)*)", re.MULTILINE)


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
    choice = catalog.entry(group, name, own)
    taker = _taker(group, name)
    documented = ELSEWHERE.get((group, catalog.configured(group, name)), taker)
    parts = [_head(name, choice.summary), choice.notes, _prose(documented, choice)]
    parts += ["\n".join(["Options:", *_options(choice, taker)])] if choice.options else []
    if choice.swept:
        lines = (f"  {key}={value}" for key, value in choice.swept.items())
        parts.append("\n".join(["A sweep varies, unless its line says otherwise:", *lines]))
    if isinstance(taker, type) and issubclass(taker, RuleOptimizer):
        parts += _measured(taker)
    return "\n\n".join(part for part in (*parts, _where(documented)) if part)


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


def _taker(group: str, name: str) -> Any:
    """Return what takes the options of a choice, or None where nothing does as it stands."""
    entries = next((dict(each.items()) for each in registry.GROUPS if each.group == group), {})
    return entries.get(catalog.configured(group, name), SECTIONS.get(group))


def _measured(make: type[RuleOptimizer]) -> Iterator[str]:
    """Yield the size of an optimizer's state, and what equals it elsewhere."""
    numbers = len(_state(make.rule, (SIDE,)).keys() & set(make.rule.scalars))
    beside = f" and {numbers} number{'s' * (numbers > 1)} per tensor" if numbers else ""
    size = f"Size of the state in multiples of the parameter: {state_size(make.rule)}{beside}."
    yield _wrapped(size, 0, 0)
    if equal(make) != "-":
        yield f"Equal to: {equal(make).replace('`', '')}."


def _head(name: str, summary: str) -> str:
    """Return the first line of a choice in ``optlab list``, in lines of `WIDTH`."""
    return _wrapped(f"{name}  {summary}".rstrip(), 0, len(name) + 2)


def _wrapped(text: str, first: int, others: int) -> str:
    """Return lines of `WIDTH` with so many spaces before the first and the others."""
    wrapper = textwrap.TextWrapper(WIDTH, " " * first, " " * others)
    wrapper.break_long_words = wrapper.break_on_hyphens = False
    return wrapper.fill(text)


def _prose(documented: Any, choice: catalog.Choice) -> str:
    """Return the docstring, a rule's from its module, without summary and options of the choice."""
    is_rule = isinstance(documented, type) and issubclass(documented, RuleOptimizer)
    source = importlib.import_module(documented.__module__) if is_rule else documented
    text = "" if documented is None else inspect.getdoc(source) or ""
    text = _without(text, choice.options)
    first, _, rest = text.partition("\n\n")
    return rest if " ".join(first.split()) == choice.summary else text


def _without(text: str, names: Collection[str]) -> str:
    """Return a docstring that does not explain the arguments called ``names``."""

    def others(section: re.Match[str]) -> str:
        left = [entry[0] for entry in ARGUMENT.finditer(section[2]) if entry[1] not in names]
        return "\n".join([f"{section[1]}:", *left, "", ""]) if left else ""

    return re.sub(r"\n{3,}", "\n\n", ARGUMENTS.sub(others, text)).strip()


def _options(choice: catalog.Choice, taker: Any) -> Iterator[str]:
    """Yield the options of a choice: value, what is allowed, meaning."""
    for key, value in choice.options.items():
        allowed, meaning = _explained(choice, key, taker)
        yield f"  {key}={value}" + (f"  ({allowed})" if allowed else "")
        meaning = choice.meanings.get(key, meaning)
        yield from [_wrapped(meaning, 6, 6)] if meaning else []


def _explained(choice: catalog.Choice, key: str, taker: Any) -> tuple[str, str]:
    """Return what is allowed for an option, and its meaning as written elsewhere than beside it."""
    owner = registry.options_owner(taker)
    known = {} if taker is None else options_of(owner)
    if key in known:
        return describe(known[key].annotation), _arguments(owner).get(key, "")
    group, _, option = key.rpartition(".")
    defaults = catalog.groups()
    if key in defaults:
        return "", catalog.entry(key, choice.options[key]).summary
    if group not in defaults:
        return "", ""
    chosen = choice.options.get(group, defaults[group])
    other = catalog.entry(group, chosen)
    allowed, meaning = _explained(other, option, _taker(group, chosen))
    return allowed, other.meanings.get(option, meaning)


def _arguments(owner: Any) -> dict[str, str]:
    """Return what the docstring says of each argument, in one line."""
    sections = ARGUMENTS.finditer(inspect.getdoc(owner) or "")
    found = (entry for section in sections for entry in ARGUMENT.findall(section[2]))
    return {name: " ".join(words.split()) for name, words in found}


def _where(documented: Any) -> str:
    """Return where it is found in Python; of a module, that."""
    if documented is None:
        return ""
    if inspect.ismodule(documented):
        return f"In Python: {documented.__name__}"
    return f"In Python: {documented.__module__}.{documented.__qualname__}"


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
