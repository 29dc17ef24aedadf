"""A user's own modules, imported so that they can register optimizers, models, tasks and more."""

import importlib
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
        ConfigError: When a module cannot be imported, with Python's reason.
    """
    search_current_folder()
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:  # the module is the user's: whatever it raises is about it
            raise ConfigError(
                f"cannot import plugin {name!r}: {_reason(error)} (plugins)"
            ) from error


def _reason(error: Exception) -> str:
    """Say what stopped an import, and where, or how to make a module known."""
    if isinstance(error, ModuleNotFoundError):
        return f"{error}; start in the folder that holds it, or install it"
    if isinstance(error, ConfigError | ImportError | SyntaxError):
        return str(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}, line {last.lineno}"
    return f"{type(error).__name__}: {error} ({place})"


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
