"""Optimizers that optlab did not write, by import path."""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from optlab.config import ConfigError, nearest
from optlab.plugins import search_current_folder


def foreign_optimizer(
    options: Mapping[str, Any], params: list[nn.Parameter]
) -> torch.optim.Optimizer:
    """Make the `torch.optim.Optimizer` named by ``options["target"]``.

    Args:
        options: ``target`` (``package.module.Class``) and the class's own keyword arguments.
        params: Parameters to optimize.

    Raises:
        ConfigError: When the class cannot be imported, is no optimizer, or refuses an argument.
    """
    target = str(options.get("target", ""))
    keywords = {key: value for key, value in options.items() if key != "target"}
    factory = _import(target)
    if not (inspect.isclass(factory) and issubclass(factory, torch.optim.Optimizer)):
        raise ConfigError(
            f"target must be a torch.optim.Optimizer class, got {target!r} (optimizer.target)"
        )
    try:
        return factory(params, **keywords)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{target} refused {keywords}: {error} (optimizer)") from error


def _import(target: str) -> Any:
    module_name, _, name = target.rpartition(".")
    if not module_name:
        raise ConfigError(
            f"target must be an import path such as torch.optim.AdamW, got {target!r} "
            "(optimizer.target)"
        )
    search_current_folder()
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(f"cannot import {module_name!r}: {error} (optimizer.target)") from error
    if not hasattr(module, name):
        known = [n for n in dir(module) if not n.startswith("_")]
        alike = ", ".join(nearest(name, known)[:5])
        raise ConfigError(f"{module_name} has no {name!r}; nearest: {alike} (optimizer.target)")
    return getattr(module, name)
