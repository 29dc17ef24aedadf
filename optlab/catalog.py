"""What can be chosen, read off the registries: names, summaries, options with defaults."""

import inspect
from typing import Any

import optlab.build  # noqa: F401 - fills the registries
from optlab import registry
from optlab.config import unknown_name
from optlab.plugins import defaults_of

#: Plural names, as in ``optlab list optimizers``.
PLURALS = {
    "optimizers": registry.optimizers,
    "schedules": registry.schedules,
    "inits": registry.initializers,
    "activations": registry.activations,
    "norms": registry.norms,
    "losses": registry.losses,
    "models": registry.models,
    "tasks": registry.tasks,
}


def catalog(group: str | None = None) -> str:
    """Return one line per choice of ``group``, or of every group.

    Raises:
        ConfigError: For an unknown group.
    """
    if group is None:
        return "\n\n".join(f"{name}\n{_lines(chosen)}" for name, chosen in PLURALS.items())
    singular = {chosen.group: chosen for chosen in PLURALS.values()}
    known = PLURALS | singular | {"initializers": registry.initializers}
    if group not in known:
        raise unknown_name("group", group, PLURALS)
    return _lines(known[group])


def _lines(chosen: registry.Registry[Any]) -> str:
    width = max(len(name) for name in chosen)
    return "\n".join(
        f"  {name:<{width}}  {_summary(entry)}{_options(entry)}" for name, entry in chosen.items()
    )


def _summary(entry: Any) -> str:
    doc = inspect.getdoc(entry) or ""
    return doc.split("\n\n")[0].replace("\n", " ")


def _options(entry: Any) -> str:
    options = ", ".join(f"{name}={value}" for name, value in defaults_of(entry).items())
    return f"  [{options}]" if options else ""
