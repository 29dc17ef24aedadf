"""What the words of a command line say before Hydra composes anything from them."""

import math
import re
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, RangeSweep

from optlab.config import ConfigError, shown
from optlab.config.schema import NAMED_SECTIONS
from optlab.identity import OUTCOME_FREE
from optlab.sweep.run_folder import Grid

SECTIONS = (*NAMED_SECTIONS, "transform", "regularizer", "trainer", "diagnostics", "logger")
GROUPS = (*SECTIONS, "experiment")
#: Letters of a name; Hydra looks for a file of that name, and systems have none longer.
LONGEST = 200
#: Where output goes.
FOLDERS = ("sweep.dir", "hydra.run.dir", "hydra.sweep.dir")
#: Runs of one sweep: each keeps some 40 KiB while it is planned.
MOST_JOBS = 100_000
MULTIRUN_FLAGS = {"-m", "--multirun"}


def parse(words: Sequence[str]) -> list[Override]:
    """Return overrides in Hydra's own reading."""
    return list(OverridesParser.create().parse_overrides(list(words)))


def refuse_mistakes(overrides: Sequence[Override], multirun: bool) -> None:
    """Refuse what Hydra would answer with a traceback, or not at all."""
    for override in overrides:
        name = override.key_or_group
        if name in GROUPS and not override.is_delete():
            _refuse_no_choice(name, override)
        if len(name) > LONGEST:
            raise ConfigError(f"there is no option with a name like {shown(name)}")
        if name in FOLDERS and override.value() in ("", None):
            raise ConfigError(f"{name} must be a folder, got nothing; the current one is {name}=.")
        if name == "protocol":
            raise ConfigError(
                "protocol is what optlab sweep follows: optlab sweep protocol=standard "
                "'optimizer=glob(*)' task=digits"
            )
        if name == "sweep.dir" and not multirun:
            raise ConfigError(
                "sweep.dir is the folder of a sweep; for one run use hydra.run.dir=FOLDER"
            )
        if name.startswith("sweep."):
            _refuse_misplaced(override, multirun)


def _refuse_no_choice(name: str, override: Override) -> None:
    """Refuse what is neither a name, nor several of them, nor values of options (a mapping)."""
    value = override.value()
    if value is None or isinstance(value, bool | int | float | list):
        given = "null" if value is None else override.get_value_element_as_str()
        raise ConfigError(f"{name} must be the name of a choice, got {given} ({name})")
    if isinstance(value, str) and len(value) > LONGEST:
        raise ConfigError(f"{name} must be the name of a choice, got {shown(value)} ({name})")


def _refuse_misplaced(override: Override, multirun: bool) -> None:
    """Refuse a word about sweeps that varies, or stands beside a single run."""
    if not multirun:
        raise ConfigError(f"{override.key_or_group} is for a sweep: use optlab sweep, or train -m")
    if override.is_sweep_override():
        raise ConfigError(
            f"{override.key_or_group} is one value for the whole sweep, got {override.input_line}"
        )


def constant_keys(overrides: Sequence[Override]) -> list[str]:
    """Return the keys that every job shares: they stay out of the folders' names."""
    last = {override.key_or_group: override for override in overrides}
    return [key for key, override in last.items() if not override.is_sweep_override()]


def grid(flags: Sequence[str], overrides: Sequence[Override]) -> Grid:
    """Return what the sweep varies, in order, and what else of the line can change a result."""
    last = {override.key_or_group: override for override in overrides}
    free = ("hydra", "sweep", *OUTCOME_FREE)
    held = [o for key, o in last.items() if re.split("[./]", key)[0] not in free]
    return Grid(
        tuple(key for key, override in last.items() if override.is_sweep_override()),
        (
            *(flag for flag in flags if flag not in MULTIRUN_FLAGS),
            *sorted(str(o.input_line) for o in held if not o.is_sweep_override()),
        ),
    )


def num_jobs(overrides: Sequence[Override]) -> int | str:
    """Return the number of jobs: the product of what is swept, or "?" where only Hydra knows."""
    last = {override.key_or_group: override for override in overrides}
    swept = [o for o in last.values() if o.is_discrete_sweep()]
    trials = last["sweep.trials"].value() if "sweep.trials" in last else 1
    if any(isinstance(override.value(), Glob) for override in swept) or type(trials) is not int:
        return "?"
    return trials * math.prod(map(_num_values, swept))


def refuse_too_many(overrides: Sequence[Override]) -> None:
    """Refuse a sweep of more jobs than fit into memory, before somebody counts them one by one."""
    count = num_jobs(overrides)
    if isinstance(count, int) and count > MOST_JOBS:
        raise ConfigError(
            f"this sweep has {count:,} runs, and {MOST_JOBS:,} are the most; make several of it"
        )


def _num_values(override: Override) -> int:
    """Return how many values a swept word has; a range may have more than one can list."""
    sweep = override.value()
    if isinstance(sweep, RangeSweep) and None not in (sweep.start, sweep.stop) and sweep.step:
        length = float(sweep.stop or 0) - float(sweep.start or 0)
        return max(0, math.ceil(length / float(sweep.step)))
    return sum(1 for _ in override.sweep_string_iterator())


def left_to_jobs(overrides: Sequence[Override]) -> list[str]:
    """Return the words with every option of a swept choice left to the jobs.

    Of a multirun Hydra composes a configuration without what is swept, and would not find
    ``optimizer.momentum`` there while ``optimizer=momentum,nag`` stands for its default.
    """
    swept = {o.key_or_group for o in overrides if o.is_sweep_override()}
    groups = {key for key in swept if "." not in key}
    return [
        f"{o.get_key_element()}=choice({o.get_value_element_as_str()})"
        if _is_option(o) and groups & {o.key_or_group.partition(".")[0], "experiment"}
        else str(o.input_line)
        for o in overrides
    ]


def _is_option(override: Override) -> bool:
    """Say whether a word gives one value to an option of a section of the run."""
    section, dot, _ = override.key_or_group.partition(".")
    is_ours = bool(dot) and section not in ("hydra", "sweep") and override.package is None
    return is_ours and not (override.is_sweep_override() or override.is_delete())


def free_foreign_options(words: Sequence[str]) -> list[str]:
    """Let any option of a foreign optimizer through: its class knows them, the YAML file cannot."""
    if "optimizer=foreign" not in words:
        return list(words)
    return [f"++{word}" if word.startswith("optimizer.") else word for word in words]
