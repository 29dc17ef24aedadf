"""The sections of a resolved configuration: which there are, and what each of them chooses."""

from collections.abc import Mapping
from typing import Any

import torch

from optlab import registry
from optlab.config import ConfigError, check_value, unknown_name
from optlab.config.schema import NAMED_SECTIONS, OTHER_KEYS
from optlab.types import Natural, NonNegative

Config = Mapping[str, Any]


def resolve_device(name: str) -> torch.device:
    """Return the device called ``auto``, ``cpu`` or ``cuda`` (or ``cuda:N``).

    Raises:
        ConfigError: For another name, or for CUDA where there is none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = str(name).partition(":")
    if kind not in ("cpu", "cuda") or not (index == "" or index.isdecimal()):
        raise unknown_name("device", str(name), ("auto", "cpu", "cuda", "cuda:0"))
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device {name!r} was asked for, but PyTorch sees {torch.cuda.device_count()} CUDA "
            "devices here; use device=cpu or device=auto"
        )
    return torch.device(name)


def refuse_unknown_sections(config: Config) -> None:
    """Refuse a configuration that has a section too many or too few, or no valid seed.

    Raises:
        ConfigError: Naming the section.
    """
    known = (*NAMED_SECTIONS, *OTHER_KEYS, "sweep")
    for key in config:
        if key not in known:
            raise unknown_name("section of the configuration", str(key), known)
    for key in (*NAMED_SECTIONS, *OTHER_KEYS):
        if key not in config:
            raise ConfigError(f"the configuration has no {key!r}; choose one with {key}=NAME")
    check_value(config["seed"], Natural, "seed")
    check_value(config["plugins"], list[str], "plugins")
    check_value(config["checkpoint_s"], NonNegative | None, "checkpoint_s")


def section(config: Config, name: str) -> tuple[str, dict[str, Any]]:
    """Return the choice and the options of a named section.

    Raises:
        ConfigError: When the section is not a mapping with a ``name``.
    """
    node = config[name]
    if not isinstance(node, Mapping) or "name" not in node:
        raise ConfigError(
            f"{name} must be a section with a name and options, got {node!r}; a resolved "
            f"configuration takes dotted values such as {name}.name=NAME"
        )
    options = {str(key): value for key, value in node.items() if key != "name"}
    return str(node["name"]), options


def created(group: registry.Registry[Any], config: Config, name: str) -> Any:
    """Return what a section chooses, made with its options."""
    choice, options = section(config, name)
    return group.create(choice, options, name)
