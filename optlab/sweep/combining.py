"""Configurations of combinations of choices, put together from those of single ones.

The choice of an optimizer reads other files than that of an activation, and changes other sections.
A grid of 6 by 6 choices then needs 11 compositions by Hydra and not 36.
"""

import copy
from collections.abc import Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf, open_dict

#: Whose files have no choice that depends on another (``defaults: - model: ${task}``), as a test
#: holds; of a user's own files nobody knows.
PACKAGED = frozenset({"pkg://hydra.conf", "pkg://optlab.configs", "structured://"})


def is_separable(loader: ConfigLoader) -> bool:
    """Return whether no configuration file can make one choice depend on another."""
    return {source.path for source in loader.get_search_path().get_path()} <= PACKAGED


def changed_sections(one: DictConfig, other: DictConfig) -> set[str]:
    """Return the sections in which two configurations differ."""
    a, b = (_plain(config) for config in (one, other))
    return {key for key in {*a, *b} if key not in a or key not in b or a[key] != b[key]}


def combined(first: DictConfig, others: Sequence[DictConfig]) -> DictConfig | None:
    """Return the configuration with all the changes that others each made to the first.

    Returns:
        Nothing where two of them changed the same section.
    """
    made = copy.deepcopy(first)
    touched: set[str] = set()
    for other in others:
        sections = changed_sections(first, other)
        if touched & sections:
            return None
        touched |= sections
        with open_dict(made):
            for section in sections:
                if section in other:
                    made[section] = copy.deepcopy(other._get_node(section))
                else:
                    del made[section]
    return made


def _plain(config: DictConfig) -> dict[Any, Any]:
    found = OmegaConf.to_container(config, resolve=False)
    assert isinstance(found, dict)
    return found
