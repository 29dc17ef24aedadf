"""What varies between runs that others recorded: hyperparameters, or what their names say."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import yaml  # type: ignore[import-untyped]

from optlab.identity import cell_hash, config_hash

#: How options are called here, by what others call them in lower case.
NAMES = {
    **dict.fromkeys(("optimizer", "optim", "opt", "optimiser"), "optimizer.name"),
    **dict.fromkeys(("lr", "learning_rate"), "optimizer.lr"),
    **dict.fromkeys(("batch_size", "bs"), "trainer.batch_size"),
    **dict.fromkeys(("task", "dataset"), "task.name"),
    **dict.fromkeys(("seed", "random_seed", "rng_seed"), "seed"),
}
PAIR = re.compile(r"(?:^|[,;/&]|__)([A-Za-z](?:(?!__)[\w.])*)=([^,;/&]*?)(?=$|[,;/&]|__)")
SEED = re.compile(r"(?:^|[^A-Za-z0-9])(seed)[_-]?(\d+)(?=$|[^A-Za-z0-9])", re.I)  # adam_seed3
#: What ends a folder's name and tells repetitions apart: numbers, or the time as torch writes it.
REPEATED = re.compile(
    r"(?:(?:^|[\W_]+)\d+)+$|(?<=[A-Za-z])\d+$|^[A-Z][a-z]{2}\d\d_\d\d-\d\d-\d\d_.*$"
)
RUN = "run"  # the option that says what a run is called, where nothing else tells it


def configuration(name: str, hparams: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a run: nested sections, as optlab's own.

    Args:
        name: The run's name, of which pairs such as ``lr=0.1,seed=3`` and a seed such as ``seed3``
            are read. Where nothing but a seed is known, the rest of the name is an option.
        hparams: Hyperparameters by name; they go before what the name says.
    """
    options = _told_by(name) | dict(hparams)
    if all(NAMES.get(key.lower()) == "seed" for key in options):
        rest = _beside_pairs(name)
        options |= {RUN: rest} if rest else {} if options else {RUN: name}
    config: dict[str, Any] = {}
    for key, value in options.items():
        place = NAMES.get(key.lower(), key.replace("/", "."))
        _put(config, place.split("."), value)
    if not isinstance(config.get("seed", 0), int) or isinstance(config.get("seed"), bool):
        config["seed_name"] = config.pop("seed")  # something else is called so
    return config


def with_methods(configs: Sequence[dict[str, Any]], names: Sequence[str]) -> int:
    """Add what names say, where runs of the same options and no seed differ in more than a number.

    Of ``adam/run0`` and ``sgd/run0`` with the same hyperparameters, these do not tell the method.

    Returns:
        How many runs were named.
    """
    stems: dict[str, set[str]] = defaultdict(set)
    unnumbered = [place for place, config in enumerate(configs) if "seed" not in config]
    for place in unnumbered:
        stems[cell_hash(configs[place])].add(_stem(names[place]))
    mixed = [place for place in unnumbered if len(stems[cell_hash(configs[place])]) > 1]
    for place in mixed:
        configs[place][RUN] = _stem(names[place]) or names[place]
    return len(mixed)


def with_seeds(configs: Sequence[dict[str, Any]]) -> int:
    """Number runs of one configuration as its seeds, in their order, where none was noted.

    Returns:
        How many were numbered.
    """
    cells = [cell_hash(config) for config in configs]
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


def with_names(configs: Sequence[dict[str, Any]], names: Sequence[str]) -> int:
    """Add what names say beside pairs to all runs of a cell in which a seed occurs twice.

    A report would take them for one run that was begun again, and keep one of them.

    Returns:
        How many runs were named.
    """
    cells = [cell_hash(config) for config in configs]
    runs = [config_hash(config) for config in configs]
    counts = Counter(runs)
    mixed = {cell for cell, run in zip(cells, runs, strict=True) if counts[run] > 1}
    found = [place for place, cell in enumerate(cells) if cell in mixed]
    rests = {place: _beside_pairs(names[place]) for place in found}
    are_apart = len({(rests[place], runs[place]) for place in found}) == len(found)
    for place in found:
        configs[place][RUN] = rests[place] if are_apart else names[place]
    return len(found)


def _told_by(name: str) -> dict[str, Any]:
    """Return the options that a name tells."""
    return {key: _read(text) for key, text in (*SEED.findall(name), *PAIR.findall(name))}


def _beside_pairs(name: str) -> str:
    """Return a name without its pairs and its seed: "adam" of "adam,lr=0.1/seed3"."""
    rest = SEED.sub("", "/".join(PAIR.sub("", place) for place in name.split("/")))
    return "/".join(filter(None, (place.strip(" ,;&_-.") for place in rest.split("/"))))


def _stem(name: str) -> str:
    """Return a name without what tells repetitions apart: "adam/run" of "adam/run0"."""
    *above, last = _beside_pairs(name).split("/")
    return "/".join(filter(None, [*above, REPEATED.sub("", last)]))


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
