"""Optimizers that optlab did not write, by import path.

Options become keyword arguments of the class as they stand, but for

- ``target``, the import path of the class, and ``lr``, which is left to the class when it is None;
- ``matrices`` and ``others``, options of two parameter groups: weights with two axes or more, and
  everything else (``{"matrices": {"use_muon": True}, "others": {"use_muon": False}}``);
- an optimizer inside another: an argument whose name has "optimizer" in it takes an import path
  (SAM's ``base_optimizer``) or a mapping with a ``target`` and options of its own (Lookahead's
  ``optimizer``).

Arguments called ``params`` and ``model`` are filled in.
"""

import difflib
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from optlab.config import ConfigError, nearest, unknown_name
from optlab.optim.regularizers import is_weight
from optlab.plugins import search_current_folder

#: Options that are not arguments of the class.
OURS = ("target", "matrices", "others")

#: Arguments that the program supplies, by their usual names.
SUPPLIED = ("params", "model", "module")

#: Likeness to a named argument from which an option that only ``**kwargs`` takes is a misspelling.
MISSPELT = 0.85

_Parameters = Mapping[str, inspect.Parameter]


def foreign_optimizer(
    options: Mapping[str, Any], module: nn.Module, where: str = "optimizer"
) -> torch.optim.Optimizer:
    """Make the `torch.optim.Optimizer` named by ``options["target"]``.

    Args:
        options: ``target`` (``package.module.Class``) and the class's own keyword arguments.
        module: What to optimize.
        where: Dotted path of ``options`` in the configuration, for messages.

    Raises:
        ConfigError: When the class cannot be imported, is no optimizer, lacks an argument or
            refuses one, in its own words.
    """
    target = str(options.get("target", ""))
    factory = import_optimizer(target, f"{where}.target")
    taken = _parameters_of(factory)
    given = {k: v for k, v in options.items() if k not in OURS and not (k == "lr" and v is None)}
    _refuse_misspelt(given, taken, where)
    keywords = {k: _inner(k, value, module, f"{where}.{k}") for k, value in given.items()}
    groups = _groups(options, module)
    params: Sequence[Any] = groups if groups else list(module.parameters())
    supplied = _supplied(taken, keywords, module, params)
    _refuse_missing(target, taken, supplied | keywords, where)
    if groups:
        return _made(target, factory, supplied | keywords, where)
    return _made_of_either(target, factory, taken, supplied | keywords, where)


def import_optimizer(target: str, where: str) -> Callable[..., torch.optim.Optimizer]:
    """Return the optimizer class at an import path; the current folder is searched too.

    Raises:
        ConfigError: When it cannot be imported or is something else.
    """
    found = _import(target, where)
    if not (inspect.isclass(found) and issubclass(found, torch.optim.Optimizer)):
        raise ConfigError(
            f"{where.rpartition('.')[2]} must be a torch.optim.Optimizer class, got {target!r} "
            f"({where})"
        )
    return found


def _import(target: str, where: str) -> Any:
    module_name, _, name = target.rpartition(".")
    if not module_name:
        raise ConfigError(
            f"{where.rpartition('.')[2]} must be an import path such as torch.optim.AdamW, got "
            f"{target!r} ({where})"
        )
    search_current_folder()
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(f"cannot import {module_name!r}: {error} ({where})") from error
    if not hasattr(module, name):
        known = [n for n in dir(module) if not n.startswith("_")]
        alike = ", ".join(nearest(name, known)[:5])
        raise ConfigError(f"{module_name} has no {name!r}; nearest: {alike} ({where})")
    return getattr(module, name)


def _parameters_of(factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the constructor's parameters by name, ``**kwargs`` among them."""
    return dict(inspect.signature(factory).parameters)


def _named(taken: _Parameters) -> list[str]:
    hidden = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [name for name, parameter in taken.items() if parameter.kind not in hidden]


def _refuse_misspelt(given: Mapping[str, Any], taken: _Parameters, where: str) -> None:
    """Refuse what would vanish in ``**kwargs``: an option that is nearly a named argument."""
    known = _named(taken)
    if len(known) == len(taken):
        return  # no **kwargs: the class refuses by itself
    for name in given:
        if name not in known and difflib.get_close_matches(name, known, 1, MISSPELT):
            options = [option for option in known if option not in SUPPLIED]
            raise unknown_name(f"option of {where}", name, options)


def _inner(name: str, value: Any, module: nn.Module, where: str) -> Any:
    """Return the optimizer, or the class of one, that an option stands for; else its value."""
    if "optimizer" not in name:
        return value
    if isinstance(value, Mapping):
        return foreign_optimizer(value, module, where)
    return import_optimizer(value, where) if isinstance(value, str) else value


def _groups(options: Mapping[str, Any], module: nn.Module) -> list[dict[str, Any]]:
    """Return the two parameter groups where one has options; an empty one is left out."""
    if "matrices" not in options and "others" not in options:
        return []
    members: dict[str, list[nn.Parameter]] = {"matrices": [], "others": []}
    for param in module.parameters():
        members["matrices" if is_weight(param) else "others"].append(param)
    return [
        {"params": params, **(options.get(name) or {})}
        for name, params in members.items()
        if params
    ]


def _supplied(
    taken: _Parameters, keywords: Mapping[str, Any], module: nn.Module, params: Any
) -> dict[str, Any]:
    """Return what the program gives by name; the first argument is the parameters, if no other."""
    ready = dict(zip(SUPPLIED, (params, module, module), strict=True))
    names = [name for name in _named(taken) if name not in keywords]
    supplied = {name: ready[name] for name in names if name in ready}
    first = names[0] if names[:1] == _named(taken)[:1] else ""
    if first and not supplied and not _wraps(taken[first]):
        supplied[first] = params
    return supplied


def _wraps(first: inspect.Parameter) -> bool:
    """Return whether a constructor's first parameter is another optimizer, and nothing else."""
    return "optimizer" in first.name and "Iterable" not in str(first.annotation)


def _refuse_missing(target: str, taken: _Parameters, given: Mapping[str, Any], where: str) -> None:
    for name in _named(taken):
        if taken[name].default is inspect.Parameter.empty and name not in given:
            form = f"{where}.{name}=VALUE"
            if "optimizer" in name:
                form = (
                    f"{where}.{name}=IMPORT.PATH for a class, or {where}.{name}.target=IMPORT.PATH "
                    "with its own options beside it for an optimizer"
                )
            raise ConfigError(f"{target} needs {name}: give {form}")


def _made(
    target: str, factory: Callable[..., torch.optim.Optimizer], given: dict[str, Any], where: str
) -> torch.optim.Optimizer:
    try:
        return factory(**given)
    except Exception as error:  # whatever a foreign class raises, it refuses these options
        raise refusal(target, given, error, where) from error


def _made_of_either(
    target: str,
    factory: Callable[..., torch.optim.Optimizer],
    taken: _Parameters,
    given: dict[str, Any],
    where: str,
) -> torch.optim.Optimizer:
    """Make the optimizer of parameters or, where it fails over them, of one group of them."""
    try:
        return factory(**given)
    except (TypeError, ValueError) as error:
        raise refusal(target, given, error, where) from error
    except Exception as error:
        first = next(iter(_named(taken)))
        if not isinstance(given.get(first), list):
            raise refusal(target, given, error, where) from error
        given = {**given, first: [{"params": given[first]}]}
        try:
            return factory(**given)
        except ValueError as better:
            hint = (
                f"; options of parameter groups are {where}.matrices.KEY=VALUE for weights and "
                f"{where}.others.KEY=VALUE for the rest"
            )
            raise refusal(target, given, better, where, hint) from error
        except Exception:
            raise refusal(target, given, error, where) from error


def refusal(
    target: str, given: Mapping[str, Any], error: Exception, where: str, hint: str = ""
) -> ConfigError:
    """Return what a class said about its options as a user's mistake."""
    plain = {k: v for k, v in given.items() if isinstance(v, bool | int | float | str)}
    shown = f" {plain}" if plain else ""
    return ConfigError(f"{target} refused{shown}: {error}{hint} ({where})")
