"""Named things that a configuration can choose: one registry per group, filled by decorators.

This module knows no member and imports no torch; `optlab.build` imports the packages that fill it.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

from optlab.config import ConfigError, bind, options_of, unknown_name, unknown_option

T = TypeVar("T", bound=Callable[..., Any])


class Registry(Generic[T]):
    """Choices of one configuration group, by name.

    An entry is a class, which `create` calls with its options, or a function, to which `create`
    binds its keyword-only options.
    """

    def __init__(self, group: str) -> None:
        self.group = group
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that enters its class or function under ``name``.

        Raises:
            ConfigError: When the name is taken by something else.
        """

        def enter(entry: T) -> T:
            known = self._entries.get(name)
            if known is not None and _origin(known) != _origin(entry):
                raise ConfigError(
                    f"{self.group} {name!r} is already registered by {_origin(known)}; "
                    f"choose another name for {_origin(entry)}"
                )
            self._entries[name] = entry
            return entry

        return enter

    def get(self, name: str) -> T:
        """Return the entry called ``name``.

        Raises:
            ConfigError: Listing the known names, nearest first.
        """
        if name not in self._entries:
            raise unknown_name(self.group, str(name), self._entries)
        return self._entries[name]

    def create(self, name: str, options: Mapping[str, Any], where: str = "") -> Any:
        """Make the thing called ``name`` from checked ``options``.

        Raises:
            ConfigError: For an unknown name; for options that it does not have, with the names
                that have them; for values that are not allowed.
        """
        entry = self.get(name)
        keywords = self.bind(name, options, where)
        return entry(**keywords) if inspect.isclass(entry) else partial(entry, **keywords)

    def bind(self, name: str, options: Mapping[str, Any], where: str = "") -> dict[str, Any]:
        """Return checked keyword arguments for what carries the options of ``name``.

        Raises:
            ConfigError: As `create` does.
        """
        owner = options_owner(self.get(name))
        known = options_of(owner)
        for option in options:
            if option not in known:
                owners = [(other, options_owner(each)) for other, each in self.items()]
                having = [other for other, each in owners if option in options_of(each)]
                raise unknown_option(where or self.group, name, str(option), known, having)
        return bind(owner, options, where or self.group)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def items(self) -> list[tuple[str, T]]:
        """Return (name, entry) pairs in order of name."""
        return sorted(self._entries.items())


def _origin(entry: Any) -> str:
    return f"{entry.__module__}.{entry.__qualname__}"


optimizers: Registry[Any] = Registry("optimizer")
schedules: Registry[Any] = Registry("schedule")
initializers: Registry[Any] = Registry("init")
activations: Registry[Any] = Registry("activation")
norms: Registry[Any] = Registry("norm")
losses: Registry[Any] = Registry("loss")
models: Registry[Any] = Registry("model")
tasks: Registry[Any] = Registry("task")

GROUPS = (optimizers, schedules, initializers, activations, norms, losses, models, tasks)


def options_owner(entry: Any) -> Any:
    """Return what carries an entry's options: an optimizer's hyperparameters, else the entry."""
    rule = getattr(entry, "rule", None)
    return entry if rule is None else rule.hyper
