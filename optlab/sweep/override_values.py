"""Puts the values of overrides into configurations that Hydra composed."""

import copy
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException


def plain_of(config: DictConfig) -> dict[str, Any] | None:
    """Return a configuration as dictionaries, or nothing where a value refers to another."""
    if "${" in OmegaConf.to_yaml(config):
        return None
    found: Any = OmegaConf.to_container(config, throw_on_missing=False)
    return found if isinstance(found, dict) else None


def set_value(config: dict[str, Any], override: Override) -> bool:
    """Put a value in the place of another; return False where it is not as simple as that."""
    *path, last = override.key_or_group.split(".")
    value: Any = override.value()
    for key in path:
        if not isinstance(config.get(key), dict):
            return False
        config = config[key]
    is_known = last in config and not isinstance(config[last], dict)
    if not is_known or override.is_add() or override.is_force_add() or "${" in str(value):
        return False
    config[last] = copy.deepcopy(value)
    return True


def put_value(config: DictConfig, override: Override) -> bool:
    """Put a value where Hydra would; return False, for Hydra to say why, where it cannot be."""
    key, value = override.key_or_group, override.value()
    try:
        there = OmegaConf.select(config, key, throw_on_missing=False)
        if OmegaConf.is_dict(there):
            return False
        if override.is_add() and there is not None and not isinstance(value, list):
            return False
        adds = override.is_add() or override.is_force_add()
        OmegaConf.update(config, key, value, merge=True, force_add=adds)
    except OmegaConfBaseException:
        return False
    return True
