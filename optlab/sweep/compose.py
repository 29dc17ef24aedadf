"""Composes the jobs of a multirun as Hydra does, job by job equal to it, and much faster.

Hydra reads files and merges them for every job anew. What files a job reads depends on the choices
of groups alone, so here Hydra composes once for every combination of choices, and the values of a
job are put into a copy, in order and by the same operations of OmegaConf. Whatever does not fit
into that, a mistake included, is left to Hydra itself.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from optlab.config import ConfigError
from optlab.sweep.bad_jobs import refuse_jobs
from optlab.sweep.combining import combined, is_separable
from optlab.sweep.explain import explain
from optlab.sweep.naming import folder_name
from optlab.sweep.override_values import plain_of, put_value, set_value
from optlab.sweep.planned import PlannedRun, chosen_sections, of_the_run

#: How ``folders.yaml`` says where jobs go; what refers to something else is left to Hydra.
PLACE, NAMING = "${sweep.dir}", "${optlab.folder_name:"

Words = tuple[str, ...]


def compose(
    loader: ConfigLoader, master: DictConfig, jobs: Sequence[Words], first: int = 0
) -> list[PlannedRun]:
    """Return the jobs of a multirun as they would run.

    Args:
        loader: Hydra's loader of this multirun.
        master: The configuration that Hydra composed for the multirun itself.
        jobs: Words of each job, without those of Hydra's own configuration.
        first: Number of the first job.

    Raises:
        ConfigError: Naming the jobs that cannot be composed, each with the reason.
    """
    composer = Composer(loader, master)
    runs: list[PlannedRun] = []
    mistakes: list[tuple[str, str]] = []
    for number, words in enumerate(jobs, first):
        try:
            runs.append(composer.run(number, words))
        except (ConfigError, HydraException, OmegaConfBaseException) as error:
            mistakes.append((folder_name(words, composer.constant), explain(error)))
    refuse_jobs(mistakes, len(jobs))
    return runs


class _Word(NamedTuple):
    """One word of a job.

    Attributes:
        override: Hydra's reading of it.
        is_value: Whether it sets a value, a number, text or list, in what the files gave.
        path: The parts of its key where it is no choice of a group, else nothing.
    """

    override: Override
    is_value: bool
    path: Words


class _Base(NamedTuple):
    """What Hydra composed for one combination of choices.

    Attributes:
        config: The configuration without Hydra's part.
        is_open: Whether jobs are made from it by putting values in: nothing in it, nor the
            folder's name, refers to Hydra's part, which differs from job to job.
        folder: What it says of the sweep's folder.
        plain: The configuration as dictionaries, where nothing in it refers to anything else.
    """

    config: DictConfig
    is_open: bool
    folder: str
    plain: dict[str, Any] | None = None


class Composer:
    """Composes jobs of one multirun, and remembers what they share.

    Attributes:
        folder: Folder of the multirun.
        constant: Keys that stay out of the folders' names.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self._loader, self._master = loader, master
        self.folder = Path(str(master.hydra.sweep.dir))
        self.constant = list(master.hydra.job.config.override_dirname.exclude_keys)
        words: Any = OmegaConf.to_container(master.hydra.overrides.hydra, resolve=False)
        self._groups = set(
            loader.get_group_options(
                "",
                ObjectType.GROUP,
                config_name=master.hydra.job.config_name,
                overrides=words,
            )
        )
        self._parser = OverridesParser.create()
        self._words: dict[str, _Word] = {}
        self._bases: dict[Words, _Base] = {}
        self._first: Words | None = None
        self._is_separable = is_separable(loader)

    def run(self, number: int, words: Words) -> PlannedRun:
        """Return one job.

        Raises:
            HydraException, OmegaConfBaseException: What Hydra raises for it.
            ConfigError: When its folder would lie outside the multirun's.
        """
        read = [self._read(word) for word in words]
        if _is_overtaken(read) or any(map(self._is_resolved_late, read)):
            return self._by_hydra(number, words)
        base = self._base(
            tuple(word for word, each in zip(words, read, strict=True) if not each.is_value)
        )
        values = [each.override for each in read if each.is_value]
        if base.is_open and base.plain is not None:
            plain = copy.deepcopy(base.plain)
            if all(set_value(plain, value) for value in values):
                return self._made(number, words, plain, folder_name(words, self.constant))
        config = copy.deepcopy(base.config) if base.is_open else None
        if config is None or not all(put_value(config, value) for value in values):
            return self._by_hydra(number, words)
        if str(config.sweep.dir) != base.folder:
            return self._by_hydra(number, words)
        return self._planned(number, words, config, folder_name(words, self.constant))

    def _read(self, word: str) -> _Word:
        if word not in self._words:
            (override,) = self._parser.parse_overrides([word])
            is_group = "/" in override.key_or_group or override.key_or_group in self._groups
            is_choice = is_group and not isinstance(override.value(), dict)
            path = () if is_choice else tuple(override.key_or_group.split("."))
            is_plain = isinstance(override.value(), bool | int | float | str | list | None)
            is_value = is_plain and not (is_group or override.package or override.is_delete())
            self._words[word] = _Word(override, is_value and path[0] != "sweep", path)
        return self._words[word]

    def _is_resolved_late(self, word: _Word) -> bool:
        """Say whether a word refers to Hydra's part, or gives its folder the name of what it finds.

        Hydra resolves what it takes into a folder's name.
        """
        line, key = str(word.override.input_line), word.override.key_or_group
        return "${hydra" in line or ("${" in line and key not in self.constant)

    def _base(self, choices: Words) -> _Base:
        """Return what jobs with these choices begin from."""
        if choices not in self._bases:
            made = self._put_together(choices) or self._composed(choices)
            self._bases[choices] = made._replace(plain=plain_of(made.config))
        return self._bases[choices]

    def _put_together(self, choices: Words) -> _Base | None:
        """Return a combination made from single choices, where these do not meet."""
        if self._first is None:
            self._first = choices
        first = self._first
        if not (self._is_separable and _are_alike(first, choices)):
            return None
        changed = [i for i, word in enumerate(choices) if word != first[i]]
        if len(changed) < 2:
            return None
        bases = [self._base((*first[:i], choices[i], *first[i + 1 :])) for i in changed]
        start = self._base(first)
        config = combined(start.config, [base.config for base in bases])
        alike = all(base.is_open and base.folder == start.folder for base in (start, *bases))
        return _Base(config, True, start.folder) if config is not None and alike else None

    def _composed(self, choices: Words) -> _Base:
        config = self._loader.load_sweep_config(self._master, list(choices))
        self._refuse_elsewhere(config)
        sweep = OmegaConf.to_container(config.hydra.sweep, resolve=False)
        assert isinstance(sweep, dict)
        place, naming = str(sweep["dir"]), str(sweep["subdir"])
        with open_dict(config):
            del config["hydra"]
        is_open = (place == PLACE or "${" not in place) and naming.startswith(NAMING)
        is_open = is_open and "${hydra" not in OmegaConf.to_yaml(config)
        own: Any = OmegaConf.to_container(config.sweep, resolve=False)
        if "${" not in str(own["dir"]).replace("${now:", ""):
            config.sweep.dir = str(config.sweep.dir)  # resolved once, not for every job
        return _Base(config, is_open, str(config.sweep.dir))

    def _by_hydra(self, number: int, words: Words) -> PlannedRun:
        """Do what Hydra's basic launcher does before it calls a job."""
        config = self._loader.load_sweep_config(self._master, list(words))
        self._refuse_elsewhere(config)
        with open_dict(config):
            config.hydra.job.id, config.hydra.job.num = str(number), number
        before = HydraConfig.instance().cfg
        HydraConfig.instance().set_config(config)
        try:
            name = str(OmegaConf.select(config, "hydra.sweep.subdir"))
            task = copy.deepcopy(config)
            with open_dict(task):
                del task["hydra"]
            return self._planned(number, words, task, name)
        finally:
            HydraConfig.instance().cfg = before

    def _planned(self, number: int, words: Words, config: DictConfig, name: str) -> PlannedRun:
        resolved: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
        return self._made(number, words, resolved, name)

    def _made(self, number: int, words: Words, config: dict[str, Any], name: str) -> PlannedRun:
        own = of_the_run(config)
        return PlannedRun(number, words, own, self.folder / name, chosen_sections(words))

    def _refuse_elsewhere(self, config: DictConfig) -> None:
        """Refuse a folder of the sweep that depends on what the sweep varies."""
        folder = Path(str(config.hydra.sweep.dir))
        if folder != self.folder:
            raise ConfigError(
                f"a sweep has one folder, and {folder} would be that of this job and "
                f"{self.folder} that of the sweep; give sweep.dir=FOLDER"
            )


def _is_overtaken(words: Sequence[_Word]) -> bool:
    """Say whether a word that only Hydra understands touches a value that stands before it."""
    return any(
        value.is_value and _overlap(value.path, later.path)
        for place, later in enumerate(words)
        if later.path and not later.is_value
        for value in words[:place]
    )


def _are_alike(one: Words, other: Words) -> bool:
    """Say whether two combinations choose for the same groups, in the same order."""
    keys = [[word.partition("=")[0] for word in words] for words in (one, other)]
    return keys[0] == keys[1] and len(set(keys[0])) == len(keys[0])


def _overlap(a: Words, b: Words) -> bool:
    shorter = min(len(a), len(b))
    return a[:shorter] == b[:shorter]
