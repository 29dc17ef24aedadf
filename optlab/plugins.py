"""A user's own modules, imported so that they can register optimizers, models, tasks and more."""

import dataclasses
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optlab import registry
from optlab.config import ConfigError, options_of


def import_plugins(modules: Iterable[str]) -> None:
    """Import each module once; the current folder is searched too, as with ``python -m``.

    Raises:
        ConfigError: When a module cannot be imported, with Python's reason, or its options lack
            the decorator that makes them a dataclass.
    """
    names = list(modules)
    if not names:
        return
    search_current_folder()
    for name in names:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:  # whatever a module raises is about it
            raise ConfigError(
                f"cannot import plugin {name!r}: {_reason(error)} (plugins)"
            ) from error
    _refuse_undecorated()


def _refuse_undecorated() -> None:
    """Refuse options that are the fields of a dataclass but for a missing decorator."""
    for entry in (entry for group in registry.GROUPS for _, entry in group.items()):
        owner = registry.options_owner(entry)
        if not (inspect.isclass(owner) and dataclasses.is_dataclass(owner)):
            continue
        hints = inspect.get_annotations(owner)
        own = [name for name, hint in hints.items() if "ClassVar" not in str(hint)]
        if own and "__dataclass_fields__" not in vars(owner):
            raise ConfigError(
                f"class {owner.__qualname__} of {owner.__module__} has the fields "
                f"{', '.join(own)} but is no dataclass: write @dataclass(frozen=True) above it"
            )


def _reason(error: BaseException) -> str:
    """Say what stopped an import, and where, or how to make a module known."""
    if isinstance(error, ModuleNotFoundError):
        return f"{error}; start in the folder that holds it, or install it"
    if isinstance(error, ConfigError | ImportError | SyntaxError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    is_frozen = "non-frozen dataclass from a frozen one" in str(error)
    remedy = "; write @dataclass(frozen=True) above the class" if is_frozen else ""
    # dataclasses.py raises it, for the class of the line that called it.
    last = [f for f in frames if f.filename != dataclasses.__file__][-1]
    place = f"{Path(last.filename).name}, line {last.lineno}"
    return f"{type(error).__name__}: {error} ({place}){remedy}"


def search_current_folder() -> None:
    """Let imports find modules of the current folder, as ``python -m`` does."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())


def plugin_choices(modules: Iterable[str]) -> list[tuple[str, str, dict[str, Any]]]:
    """Import modules and return (group, name, default configuration) of what they registered.

    What was registered before has YAML files; a plugin needs none.
    """
    own = {(group.group, name) for group in registry.GROUPS for name in group}
    import_plugins(modules)
    return [
        (group.group, name, {"name": name, **defaults_of(entry)})
        for group in registry.GROUPS
        for name, entry in group.items()
        if (group.group, name) not in own
    ]


def defaults_of(entry: Any) -> dict[str, Any]:
    """Return the options of a registered entry with their defaults; required ones are ``???``."""
    return {
        name: "???" if option.default is option.empty else _plain(option.default)
        for name, option in options_of(registry.options_owner(entry)).items()
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
