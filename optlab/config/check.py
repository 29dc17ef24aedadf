"""Check values against annotations, and bind a mapping of options to a callable.

Every configurable thing in optlab is a class, dataclass or function whose parameters carry plain
annotations (`optlab.types`). Its options, their defaults and their ranges are therefore written
once, in its signature; configuration files, error messages and documentation derive from it.
"""

import dataclasses
import functools
import inspect
import math
import reprlib
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from optlab.config.errors import ConfigError, unknown_name
from optlab.types import Range

#: Numbers beyond these are typing errors, and nothing that computes with them can hold them.
LARGEST_REAL, LARGEST_INTEGER = 3.4028234e38, 2**63 - 1  # of float32, of int64

#: Parameters that the program supplies, never a configuration.
SUPPLIED = frozenset({"self", "generator", "context", "function"})


@functools.cache
def options_of(target: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return the configurable parameters of ``target`` by name, annotations resolved.

    For a function these are its keyword-only parameters (the positional ones are its data); for a
    class, every parameter of its constructor. What the program supplies (`SUPPLIED`) is left
    out.
    """
    is_class = inspect.isclass(target)
    parameters = inspect.signature(target).parameters.values()
    hints = _hints(target)
    return {
        p.name: p.replace(annotation=hints.get(p.name, Any))
        for p in parameters
        if p.name not in SUPPLIED
        and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        and (is_class or p.kind is p.KEYWORD_ONLY)
    }


def bind(target: Callable[..., Any], options: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Check ``options`` against the signature of ``target`` and return keyword arguments.

    Args:
        target: Class or function that will be called with the result.
        options: Values as a user gave them.
        where: Dotted path of ``options`` in the configuration, for messages.

    Raises:
        ConfigError: For an unknown option, a missing one, or a value out of range.
    """
    known = options_of(target)
    for name in options:
        if name not in known:
            raise unknown_name(f"option of {where}", str(name), known)
    for name, parameter in known.items():
        if parameter.default is parameter.empty and name not in options:
            raise ConfigError(f"{where}.{name} is required: give {where}.{name}=VALUE")
    return {
        name: check_value(value, known[name].annotation, f"{where}.{name}")
        for name, value in options.items()
    }


def validate(instance: Any, where: str = "") -> None:
    """Check every field of a dataclass instance; tensors are taken as they are.

    Raises:
        ConfigError: Naming the field, its value and the allowed range.
    """
    kind: Any = type(instance)
    hints = _hints(kind)
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        path = f"{where}.{field.name}" if where else field.name
        if not _is_tensor(value):
            checked = check_value(value, hints[field.name], path)
            if checked is not value:
                object.__setattr__(instance, field.name, checked)


def check_value(value: Any, annotation: Any, where: str) -> Any:
    """Return ``value`` as ``annotation`` wants it (an int becomes a float where one is asked).

    Raises:
        ConfigError: Saying the field, the value and what is allowed.
    """
    try:
        return _convert(value, annotation, where)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, ConfigError):
            raise
        name, allowed = where.rpartition(".")[2], describe(annotation)
        raise ConfigError(f"{name} must be {allowed}, got {shown(value)} ({where})") from None


def describe(annotation: Any) -> str:
    """Say in words what ``annotation`` allows, for messages and tables."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        ranges = [str(r) for r in args[1:] if isinstance(r, Range) and r != Range()]
        noun = describe(args[0])
        return f"{noun} in {' and '.join(ranges)}" if ranges else noun
    if origin is Literal:
        return "one of " + ", ".join(map(str, args)) if len(args) > 1 else repr(args[0])
    if origin in (Union, types.UnionType):
        return " or ".join(describe(a) for a in args)
    if origin in (list, tuple):
        return f"a list of {describe(args[0])}" if args else "a list"
    words = {float: "a number", int: "an integer", bool: "true or false", str: "a text"}
    if annotation is type(None):
        return "null"
    if annotation is Any:
        return "anything"
    return words.get(annotation, getattr(annotation, "__name__", str(annotation)))


def shown(value: Any) -> str:
    """Return ``repr(value)``, cut where it would be longer than a line."""
    return _SHORT.repr(value)


def cut(text: str) -> str:
    """Return a text, or its beginning and end where it would fill several lines."""
    return text if len(text) <= 300 else f"{text[:200]} ... {text[-80:]}"


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = 8


def _convert(value: Any, annotation: Any, where: str) -> Any:
    origin, args = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return value
    if origin is Annotated:
        return _in_range(_convert(value, args[0], where), args[1:], where)
    if origin in (Union, types.UnionType):
        return _first_that_fits(value, args, where)
    if origin is Literal:
        return _require(value in args and type(value) in {type(a) for a in args}, value)
    if origin in (list, tuple):
        return _sequence(value, origin, args, where)
    if annotation is float:
        _require(isinstance(value, int | float) and not isinstance(value, bool), value)
        _require(math.isfinite(value), value)
        return _not_beyond(LARGEST_REAL, float(value), where)
    if annotation is int:
        _require(isinstance(value, int | float) and not isinstance(value, bool), value)
        _require(isinstance(value, int) or value.is_integer(), value)
        return _not_beyond(LARGEST_INTEGER, int(value), where)
    if annotation is type(None):
        return _require(value is None, value)
    return _require(isinstance(value, annotation), value)


def _first_that_fits(value: Any, choices: tuple[Any, ...], where: str) -> Any:
    """Return the value under the first fitting annotation; keep a range's own message."""
    failure: Exception = ValueError(value)
    for choice in choices:
        try:
            return _convert(value, choice, where)
        except (TypeError, ValueError, OverflowError) as error:
            failure = error if isinstance(error, ConfigError) else failure
    raise failure


def _sequence(value: Any, origin: type, args: tuple[Any, ...], where: str) -> Any:
    _require(isinstance(value, list | tuple), value)
    element = args[0] if args else Any
    return origin(check_value(v, element, f"{where}[{i}]") for i, v in enumerate(value))


def _in_range(value: Any, extras: tuple[Any, ...], where: str) -> Any:
    for extra in extras:
        if isinstance(extra, Range) and isinstance(value, int | float) and value not in extra:
            name = where.rpartition(".")[2]
            raise ConfigError(f"{name} must be in {extra}, got {shown(value)} ({where})")
    return value


def _not_beyond(largest: float, value: Any, where: str) -> Any:
    if abs(value) > largest:
        name = where.rpartition(".")[2]
        raise ConfigError(
            f"{name} must be of size {largest:.3g} at most, got {shown(value)} ({where})"
        )
    return value


def _require(condition: bool, value: Any) -> Any:
    if not condition:
        raise ValueError(value)
    return value


@functools.cache
def _hints(target: Any) -> dict[str, Any]:
    owner = target
    if inspect.isclass(target) and not dataclasses.is_dataclass(target):
        owner = target.__init__
    return get_type_hints(owner, include_extras=True)


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "device") and hasattr(value, "dtype")
