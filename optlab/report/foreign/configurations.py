"""What varies between runs that others recorded: hyperparameters, or what their names say."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import yaml  # type: ignore[import-untyped]

from optlab.identity import config_hash

#: How options are called here, by what others call them in lower case.
NAMES = {
    **dict.fromkeys(("optimizer", "optim", "opt", "optimiser"), "optimizer.name"),
    **dict.fromkeys(("lr", "learning_rate"), "optimizer.lr"),
    **dict.fromkeys(("batch_size", "bs"), "trainer.batch_size"),
    **dict.fromkeys(("task", "dataset"), "task.name"),
    **dict.fromkeys(("seed", "random_seed", "rng_seed"), "seed"),
}
PAIR = re.compile(r"(?:^|[,;/&]|__)([A-Za-z](?:(?!__)[\w.])*)=([^,;/&]*?)(?=$|[,;/&]|__)")


def configuration(name: str, hparams: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a run: nested sections, as optlab's own.

    Args:
        name: The run's name, of which pairs such as ``lr=0.1,seed=3`` are read where there are no
            hyperparameters; a name without any is all that is known.
        hparams: Hyperparameters by name.
    """
    options = dict(hparams) or {key: _read(text) for key, text in PAIR.findall(name)}
    config: dict[str, Any] = {}
    for key, value in (options or {"run": name}).items():
        place = NAMES.get(key.lower(), key.replace("/", "."))
        _put(config, place.split("."), value)
    if not isinstance(config.get("seed", 0), int) or isinstance(config.get("seed"), bool):
        config["seed_name"] = config.pop("seed")  # something else is called so
    return config


def with_seeds(configs: Sequence[dict[str, Any]]) -> int:
    """Number runs of one configuration as its seeds, in their order, where none was noted.

    Returns:
        How many were numbered.
    """
    cells = [config_hash({k: v for k, v in config.items() if k != "seed"}) for config in configs]
    without = Counter(
        cell for cell, config in zip(cells, configs, strict=True) if "seed" not in config
    )
    taken: Counter[str] = Counter()
    numbered = 0
    for cell, config in zip(cells, configs, strict=True):
        if "seed" not in config:
            config["seed"] = taken[cell]
            taken[cell] += 1
            numbered += without[cell] > 1
    return numbered


def _read(text: str) -> Any:
    """Return a value as YAML reads it, and numbers such as 1e-3, which it takes for a text."""
    try:
        return (
            float(text) if re.fullmatch(r"[+-]?\d+(\.\d*)?e[+-]?\d+", text, re.I) else _yaml(text)
        )
    except ValueError:
        return text


def _yaml(text: str) -> Any:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    return found if isinstance(found, bool | int | float | list) or found is None else text


def _put(config: dict[str, Any], places: Sequence[str], value: Any) -> None:
    """Put a value into nested sections; what stands in a section's place becomes its name."""
    *sections, last = places
    for section in sections:
        below = config.setdefault(section, {})
        if not isinstance(below, dict):
            below = config[section] = {"name": below}
        config = below
    if isinstance(config.get(last), dict):
        config[last]["name"] = value
    else:
        config[last] = value
