"""Starts Hydra on the arguments of ``train`` and ``sweep``, and words its errors for a terminal.

Hydra reports a mistake in several lines, without the nearest name, and exits with 1. Here it is
asked to raise instead, and `optlab.sweep.explain` makes one sentence of what it raised.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from optlab.config import ConfigError
from optlab.config.schema import NAMED_SECTIONS
from optlab.plugins import plugin_choices
from optlab.sweep.job import run_job

CONFIG_PATH = "pkg://optlab.configs"
VALUED_FLAGS = {
    *("--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"),
    *("--cfg", "-c", "--package", "-p", "--experimental-rerun"),
}
SECTIONS = (*NAMED_SECTIONS, "regularizer", "trainer", "diagnostics", "logger")


def launch(arguments: Sequence[str]) -> None:
    """Run the Hydra application on command-line ``arguments``.

    A path ending in ``.yaml`` among them stands for the resolved configuration of an earlier run.

    Raises:
        ConfigError, hydra.errors.HydraException: For what the user typed.
    """
    arguments = _flags_first(_from_file(arguments))
    overrides = parse(arguments)
    _register_plugins(overrides)
    name_only = f"hydra.job.config.override_dirname.exclude_keys={_constant_keys(overrides)}"
    application = hydra.main(version_base="1.3", config_path=CONFIG_PATH, config_name="train")
    multirun = bool({"-m", "--multirun"} & set(arguments))
    errors: list[ConfigError] = []
    with _process_state(["optlab train", *arguments, name_only]):
        application(run_job if multirun else partial(_keeping, errors))()
    for error in errors:
        raise error


def _keeping(errors: list[ConfigError], config: DictConfig) -> float:
    """Do the job, but keep a user's mistake from Hydra, which would print it in its own words."""
    try:
        return run_job(config)
    except ConfigError as error:
        errors.append(error)
        return float("nan")


def parse(arguments: Sequence[str]) -> list[Override]:
    """Return the Hydra overrides among command-line arguments."""
    words = [a for a in arguments if "=" in a and not a.startswith("-")]
    overrides = list(OverridesParser.create().parse_overrides(words))
    for override in overrides:
        if override.key_or_group in SECTIONS and override.value() is None:
            name = override.key_or_group
            raise ConfigError(f"{name} must be the name of a choice, got null ({name})")
    return overrides


def sweep_folder(arguments: Sequence[str], default: str) -> Path:
    """Return the folder that ``sweep.dir=FOLDER`` names among the arguments, or ``default``."""
    values = [o.value() for o in parse(arguments) if o.key_or_group == "sweep.dir"]
    return Path(str(values[-1]) if values else default)


def _constant_keys(overrides: Sequence[Override]) -> list[str]:
    """Return the keys that every job shares: they stay out of the folders' names."""
    return [o.get_key_element().lstrip("+~") for o in overrides if not o.is_sweep_override()]


def _from_file(arguments: Sequence[str]) -> list[str]:
    """Turn ``PATH.yaml`` into Hydra's flags for a primary configuration elsewhere."""
    turned: list[str] = []
    for argument in arguments:
        if argument.endswith((".yaml", ".yml")) and "=" not in argument and argument[0] != "-":
            path = Path(argument).resolve()
            if not path.is_file():
                raise ConfigError(f"no configuration file {argument!r}; give an existing one")
            turned += ["--config-path", str(path.parent), "--config-name", path.stem]
        else:
            turned.append(argument)
    return turned


def _flags_first(arguments: Sequence[str]) -> list[str]:
    """Move flags and their values before the overrides: argparse wants the latter in one piece."""
    flags: list[str] = []
    words: list[str] = []
    value_follows = False
    for argument in arguments:
        is_flag = value_follows or argument.startswith("-")
        (flags if is_flag else words).append(argument)
        value_follows = argument in VALUED_FLAGS and not value_follows
    return [*flags, *words]


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
