"""Starts Hydra on the arguments of ``train`` and ``sweep``.

Hydra reports a mistake in several lines, without the nearest name, and exits with 1. Here it is
asked to raise instead, and `optlab.sweep.explain` makes one sentence of what it raised.
"""

import inspect
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from optlab.config import ConfigError
from optlab.plugins import plugin_choices
from optlab.results import CONFIG_FILE
from optlab.sweep import plugin
from optlab.sweep.command import typed
from optlab.sweep.explain import reading
from optlab.sweep.flags import refuse_unknown_flags
from optlab.sweep.job import JOB_COUNT, run_job
from optlab.sweep.presets import refuse_acting_presets
from optlab.sweep.run_file import stored
from optlab.sweep.sweep_folder import SweepFolder
from optlab.sweep.words import (
    MULTIRUN_FLAGS,
    constant_keys,
    free_foreign_options,
    grid,
    left_to_jobs,
    num_jobs,
    parse,
    refuse_mistakes,
    refuse_too_many,
)

CONFIG_PATH = "pkg://optlab.configs"
VALUED_FLAGS = {
    *("--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"),
    *("--cfg", "-c", "--package", "-p", "--experimental-rerun"),
}
INFO_TOPICS = {"all", "config", "defaults", "defaults-tree", "plugins", "searchpath"}


Task = Callable[[DictConfig], float]


@reading()
def launch(arguments: Sequence[str], task: Task | None = None) -> Path | None:
    """Run the Hydra application on command-line ``arguments``.

    A path ending in ``.yaml`` among them stands for the resolved configuration of an earlier run.

    Args:
        arguments: What was typed after ``optlab train``.
        task: What to do with the configuration of a run; trains it unless given.

    Returns:
        The folder of the multirun, or None when there was none.

    Raises:
        ConfigError, hydra.errors.HydraException: For what the user typed.
    """
    flags, words = split(arguments)
    refuse_unknown_flags(flags)
    refuse_acting_presets(flags)
    words = free_foreign_options(words)
    overrides = parse(words)
    multirun = bool(MULTIRUN_FLAGS & set(flags))
    refuse_mistakes(overrides, multirun)
    refuse_too_many(overrides)
    _register_plugins(overrides)
    plugin.register()
    words = [
        *(left_to_jobs(overrides) if plugin.lists_jobs_of(words) else words),
        f"hydra.job.config.override_dirname.exclude_keys={constant_keys(overrides)}",
        f"++hydra.job.env_set.{JOB_COUNT}='{num_jobs(overrides)}'",
    ]
    errors: list[ConfigError] = []

    def train(config: DictConfig) -> float:
        """Do the job, but keep a user's mistake from Hydra, which would print it in its words."""
        try:
            SweepFolder.alone = Path(HydraConfig.get().runtime.output_dir)
            return (task or run_job)(config)
        except ConfigError as error:
            errors.append(error)
            return float("nan")

    SweepFolder.begin(grid(flags, overrides), typed(arguments))
    application = hydra.main(CONFIG_PATH, "train", **_by_version())
    with _process_state(["optlab train", *flags, *words]):
        application(run_job if multirun else train)()
    for error in errors:
        raise error
    return SweepFolder.latest


def _by_version() -> dict[str, Any]:
    """Return what Hydra 1.3 and 1.4 each want to be told, and the other does not know."""
    if "execution_whitelist" in inspect.signature(hydra.main).parameters:
        return {"execution_whitelist": [f"{SweepFolder.__module__}.{SweepFolder.__name__}"]}
    return {"version_base": "1.3"}


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate flags and their values from overrides, which argparse wants in one piece.

    The path of a run's configuration becomes Hydra's flag for a primary configuration.
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
            flags += ["--config-name", stored(path)]
        else:
            words.append(argument)
    return flags, words


def _config_file(argument: str) -> Path | None:
    """Return the configuration file that the argument names, itself or as a run's folder.

    Raises:
        ConfigError: When it looks like one and is missing.
    """
    path = Path(argument)
    if os.path.isfile(path / CONFIG_FILE):  # no error for a list of values as long as it may be
        return (path / CONFIG_FILE).resolve()
    if path.suffix not in (".yaml", ".yml"):
        return None
    if os.path.isfile(path):
        return path.resolve()
    if "=" in argument:
        return None
    raise ConfigError(f"no configuration file {argument!r}; give an existing one")


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
