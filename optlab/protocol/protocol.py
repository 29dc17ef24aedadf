"""Protocols as files: found by name or by path, checked, and known by a hash of what they say."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from optlab.config import ConfigError, bind, shown, unknown_name
from optlab.identity import config_hash
from optlab.protocol.space import Spaces, read_spaces
from optlab.sections import refuse_growth
from optlab.types import Count, Natural

#: Keys of a schedule's options in a protocol that are no option of it.
NAME = "name"


@dataclass(frozen=True)
class Targets:
    """What counts as solved: the median of the best baseline's reruns.

    Attributes:
        baselines: Optimizers.
        trials: Of each baseline, if they are trained for the target alone; None takes those of
            them that are compared, as they are tuned for that.
        seeds: Of the reruns of the baselines' winners, if they are trained for the target alone.
    """

    baselines: tuple[str, ...] = ()
    trials: Count | None = None
    seeds: tuple[Natural, ...] = ()


@dataclass(frozen=True)
class Protocol:
    """How optimizers are tuned and compared.

    Attributes:
        name: What was asked for: the name of a file, or its path.
        version: Of the file; another version is another protocol.
        budgets: Trials of each optimizer, ascending; those of fewer begin those of more, and the
            first is the optimizer's defaults.
        tuning_seeds: Of every trial.
        rerun_seeds: Of the winner of each budget: none of the others.
        schedules: Words of each schedule with which every optimizer is tuned.
        spaces: What is searched.
        targets: From which runs targets come.
        content: All that the files say.
    """

    name: str
    version: int
    budgets: tuple[int, ...]
    tuning_seeds: tuple[int, ...]
    rerun_seeds: tuple[int, ...]
    schedules: tuple[tuple[str, ...], ...]
    spaces: Spaces
    targets: Targets
    content: Mapping[str, Any] = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """Hash of what the files say, comments apart."""
        return config_hash(self.content, ())

    @property
    def title(self) -> str:
        """Name, version and hash, for people."""
        return f"{self.name} (version {self.version}, {self.digest})"

    @property
    def held(self) -> tuple[str, ...]:
        """Words that every run has."""
        return self.schedules[0] if len(self.schedules) == 1 else ()

    @property
    def for_targets(self) -> "Protocol | None":
        """The protocol by which baselines are trained for the target alone, if they are."""
        if self.targets.trials is None:
            return None
        content = {**self.content, "budgets": [self.targets.trials]}
        return read(self.name, {**content, "rerun_seeds": list(self.targets.seeds), "targets": {}})


@dataclass(frozen=True)
class _File:
    """The keys of a protocol's file, as they are typed."""

    version: Count
    spaces: Any
    budgets: tuple[Count, ...]
    tuning_seeds: tuple[Natural, ...]
    rerun_seeds: tuple[Natural, ...]
    schedules: tuple[Any, ...] = ("constant",)
    targets: Any = field(default_factory=dict)


def load(name: str, folders: Sequence[Path] = ()) -> Protocol:
    """Return a protocol by the name of its file, or by its path.

    Args:
        name: ``standard``, or the path of a YAML file.
        folders: Folders of configuration files that come before optlab's own: a protocol is
            ``protocol/NAME.yaml`` in them.

    Raises:
        ConfigError: When there is no such protocol, or its file says what it cannot mean.
    """
    if name.endswith((".yaml", ".yml")):
        path: Path | Traversable = Path(name)
        if not path.is_file():
            raise ConfigError(f"no protocol file {name!r}; give an existing one, or a name")
        beside = [Path(name).parent]
    else:
        known = dict(reversed(list(_known(folders))))
        if name not in known:
            raise unknown_name("protocol", name, known)
        path, beside = known[name], []
    content = _content(path)
    if isinstance(content.get("spaces"), str):
        places = [*beside, *(folder / "protocol" for folder in folders), _packaged()]
        content = {**content, "spaces": _spaces(content["spaces"], places)}
    return read(name, content)


def read(name: str, content: Mapping[str, Any]) -> Protocol:
    """Return the protocol that the content of its file, spaces included, means.

    Raises:
        ConfigError: Naming what cannot be meant.
    """
    where = f"protocol {name}"
    given = _File(**bind(_File, content, where))
    targets = given.targets if isinstance(given.targets, Mapping) else {"baselines": given.targets}
    protocol = Protocol(
        name,
        given.version,
        given.budgets,
        given.tuning_seeds,
        given.rerun_seeds,
        tuple(_schedule(each, where) for each in given.schedules),
        read_spaces(_mapping(given.spaces, where), where),
        Targets(**bind(Targets, targets, f"{where}.targets")),
        content,
    )
    _refuse_contradictions(protocol, where)
    return protocol


def _refuse_contradictions(protocol: Protocol, where: str) -> None:
    if list(protocol.budgets) != sorted(set(protocol.budgets)) or not protocol.budgets:
        raise ConfigError(
            f"budgets must be ascending numbers of trials such as [1, 5, 25], got "
            f"{list(protocol.budgets)} ({where})"
        )
    for key in ("tuning_seeds", "rerun_seeds", "schedules"):
        values = getattr(protocol, key)
        if not values or len(set(values)) < len(values):
            raise ConfigError(f"{key} must be a list of different values ({where})")
    judged = {*protocol.rerun_seeds, *protocol.targets.seeds}
    if both := sorted(judged & set(protocol.tuning_seeds)):
        raise ConfigError(
            f"seeds must be for tuning or for reruns, got {both[0]} for both: a winner is judged "
            f"on seeds that did not choose it ({where})"
        )
    if (protocol.targets.trials is None) != (not protocol.targets.seeds):
        raise ConfigError(f"targets.trials and targets.seeds go together ({where})")


def _schedule(given: Any, where: str) -> tuple[str, ...]:
    """Return the words of a schedule that is given by name, or as a mapping with options."""
    options = {NAME: given} if isinstance(given, str) else dict(_mapping(given, where))
    if NAME not in options:
        raise ConfigError(f"a schedule has a name, got {shown(given)} ({where})")
    words = [f"schedule={options.pop(NAME)}"]
    return (*words, *(f"schedule.{key}={value}" for key, value in options.items()))


def _known(folders: Sequence[Path]) -> Iterator[tuple[str, Path | Traversable]]:
    """Return protocols by name, those that come before others first."""
    for folder in (*(each / "protocol" for each in folders), _packaged()):
        if folder.is_dir():
            paths = sorted(folder.iterdir(), key=lambda path: path.name)
            yield from ((p.name[:-5], p) for p in paths if p.name.endswith(".yaml"))


def _packaged() -> Traversable:
    return files("optlab.configs").joinpath("protocol")


def _spaces(name: str, places: Sequence[Path | Traversable]) -> Any:
    paths = [place.joinpath("spaces", f"{name}.yaml") for place in places]
    for path in paths:
        if path.is_file():
            return _content(path)
    known = [p.name[:-5] for p in _packaged().joinpath("spaces").iterdir()]
    raise unknown_name("search space of a protocol", name, known)


def _content(path: Path | Traversable) -> Mapping[str, Any]:
    text = path.read_bytes()
    try:
        refuse_growth(text)
        return _mapping(yaml.safe_load(text), str(path))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"a mapping is wanted, got {shown(value)} ({where})")
    return value
