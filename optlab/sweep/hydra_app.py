"""Starts Hydra on the arguments of ``train`` and ``sweep``.

Hydra reports a mistake in several lines, without the nearest name, and exits with 1. Here it is
asked to raise instead, and `optlab.sweep.explain` makes one sentence of what it raised.
"""

import inspect
import math
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from optlab.config import ConfigError
from optlab.config.schema import NAMED_SECTIONS
from optlab.plugins import plugin_choices
from optlab.results import CONFIG_FILE, OUTCOME_FREE
from optlab.sweep import run_folder
from optlab.sweep.job import JOB_COUNT, run_job
from optlab.sweep.refusal import FolderTakenError, SweepRefused

CONFIG_PATH = "pkg://optlab.configs"
SECTIONS = (*NAMED_SECTIONS, "transform", "regularizer", "trainer", "diagnostics", "logger")
VALUED_FLAGS = {
    *("--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"),
    *("--cfg", "-c", "--package", "-p", "--experimental-rerun"),
}
MULTIRUN_FLAGS = {"-m", "--multirun"}
INFO_TOPICS = {"all", "config", "defaults", "defaults-tree", "plugins", "searchpath"}


class SweepFolder(Callback):
    """Remembers the folder of the multirun that Hydra started, and keeps other sweeps out of it.

    Attributes:
        latest: The folder, however it was given.
        grid: What the present sweep varies and holds.
    """

    latest: ClassVar[Path | None] = None
    grid: ClassVar[run_folder.Grid] = run_folder.Grid((), ())

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Claim the folder for the grid before the first job.

        Raises:
            SweepRefused: When another grid has it; nothing was touched.
        """
        folder = Path(str(config.hydra.sweep.dir))
        try:
            run_folder.claim_for_grid(folder, SweepFolder.grid)
        except FolderTakenError as error:
            raise SweepRefused(str(error)) from error
        SweepFolder.latest = folder


def launch(arguments: Sequence[str]) -> Path | None:
    """Run the Hydra application on command-line ``arguments``.

    A path ending in ``.yaml`` among them stands for the resolved configuration of an earlier run.

    Returns:
        The folder of the multirun, or None when there was none.

    Raises:
        ConfigError, hydra.errors.HydraException: For what the user typed.
    """
    flags, words = split(arguments)
    words = _free_foreign_options(words)
    overrides = parse(words)
    multirun = bool(MULTIRUN_FLAGS & set(flags))
    _refuse_mistakes(overrides, multirun)
    _register_plugins(overrides)
    words += [
        f"hydra.job.config.override_dirname.exclude_keys={_constant_keys(overrides)}",
        f"++hydra.job.env_set.{JOB_COUNT}='{_num_jobs(overrides)}'",
    ]
    errors: list[ConfigError] = []

    def train(config: DictConfig) -> float:
        """Do the job, but keep a user's mistake from Hydra, which would print it in its words."""
        try:
            return run_job(config)
        except ConfigError as error:
            errors.append(error)
            return float("nan")

    SweepFolder.latest, SweepFolder.grid = None, _grid(flags, overrides)
    application = hydra.main(CONFIG_PATH, "train", **_by_version())
    with _process_state(["optlab train", *flags, *words]):
        application(run_job if multirun else train)()
    for error in errors:
        raise error
    return SweepFolder.latest


def _by_version() -> dict[str, Any]:
    """Return what Hydra 1.3 and 1.4 each want to be told, and the other does not know."""
    if "execution_whitelist" in inspect.signature(hydra.main).parameters:
        return {"execution_whitelist": [f"{__name__}.{SweepFolder.__name__}"]}
    return {"version_base": "1.3"}


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate flags and their values from overrides, which argparse wants in one piece.

    The path of a configuration file becomes Hydra's flags for a primary configuration elsewhere.
    """
    flags: list[str] = []
    words: list[str] = []
    awaited = False
    for argument in arguments:
        is_topic = argument in INFO_TOPICS and flags[-1:] in (["--info"], ["-i"])
        if awaited or is_topic or argument.startswith("-"):
            flags.append(argument)
            awaited = argument in VALUED_FLAGS and not awaited
        elif (path := _config_file(argument)) is not None:
            if "--config-name" in flags:
                raise ConfigError(f"one configuration file at a time; {argument!r} is the second")
            flags += ["--config-path", str(path.parent), "--config-name", path.stem]
        else:
            words.append(argument)
    return flags, words


def parse(words: Sequence[str]) -> list[Override]:
    """Return overrides in Hydra's own reading."""
    return list(OverridesParser.create().parse_overrides(list(words)))


def _config_file(argument: str) -> Path | None:
    """Return the configuration file that the argument names, itself or as a run's folder.

    Raises:
        ConfigError: When it looks like one and is missing.
    """
    path = Path(argument)
    if (path / CONFIG_FILE).is_file():
        return (path / CONFIG_FILE).resolve()
    if path.suffix not in (".yaml", ".yml"):
        return None
    if path.is_file():
        return path.resolve()
    if "=" in argument:
        return None
    raise ConfigError(f"no configuration file {argument!r}; give an existing one")


def _refuse_mistakes(overrides: Sequence[Override], multirun: bool) -> None:
    """Refuse what Hydra would answer with a traceback, or not at all."""
    for override in overrides:
        name = override.key_or_group
        if name in SECTIONS and not override.is_delete() and override.value() is None:
            raise ConfigError(f"{name} must be the name of a choice, got null ({name})")
        if name == "sweep.dir" and not multirun:
            raise ConfigError(
                "sweep.dir is the folder of a sweep; for one run use hydra.run.dir=FOLDER"
            )


def _constant_keys(overrides: Sequence[Override]) -> list[str]:
    """Return the keys that every job shares: they stay out of the folders' names."""
    last = {override.key_or_group: override for override in overrides}
    return [key for key, override in last.items() if not override.is_sweep_override()]


def _grid(flags: Sequence[str], overrides: Sequence[Override]) -> run_folder.Grid:
    """Return what the sweep varies, in order, and what else of the line can change a result."""
    last = {override.key_or_group: override for override in overrides}
    free = ("hydra", "sweep", *OUTCOME_FREE)
    held = [o for key, o in last.items() if re.split("[./]", key)[0] not in free]
    return run_folder.Grid(
        tuple(key for key, override in last.items() if override.is_sweep_override()),
        (
            *(flag for flag in flags if flag not in MULTIRUN_FLAGS),
            *sorted(str(o.input_line) for o in held if not o.is_sweep_override()),
        ),
    )


def _num_jobs(overrides: Sequence[Override]) -> int | str:
    """Return the number of jobs: the product of what is swept, or "?" where only Hydra knows."""
    last = {override.key_or_group: override for override in overrides}
    swept = [o for o in last.values() if o.is_discrete_sweep()]
    if any(isinstance(override.value(), Glob) for override in swept):
        return "?"
    return math.prod(sum(1 for _ in override.sweep_string_iterator()) for override in swept)


def _free_foreign_options(words: Sequence[str]) -> list[str]:
    """Let any option of a foreign optimizer through: its class knows them, the YAML file cannot."""
    if "optimizer=foreign" not in words:
        return list(words)
    return [f"++{word}" if word.startswith("optimizer.") else word for word in words]


def _register_plugins(overrides: Sequence[Override]) -> None:
    """Import ``plugins=[...]`` before composing, so that their names are choices of their groups.

    A plugin needs no YAML file: its options and defaults are read off its signature.
    """
    modules: list[str] = []
    for override in overrides:
        if override.key_or_group == "plugins" and not override.is_sweep_override():
            value = override.value()
            if not isinstance(value, list):
                raise ConfigError(f"plugins must be a list such as [my_module], got {value!r}")
            modules = [str(v) for v in value]
    if not modules:
        return
    import optlab.build  # noqa: F401 - registers optlab's own choices, which have YAML files

    for group, name, node in plugin_choices(modules):
        ConfigStore.instance().store(group=group, name=name, node=node)


@contextmanager
def _process_state(argv: list[str]) -> Iterator[None]:
    """Give Hydra its ``sys.argv`` and have it raise its errors; put both back."""
    before_argv, before_full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv, os.environ["HYDRA_FULL_ERROR"] = argv, "1"
    try:
        yield
    finally:
        sys.argv = before_argv
        os.environ.pop("HYDRA_FULL_ERROR")
        if before_full is not None:
            os.environ["HYDRA_FULL_ERROR"] = before_full
