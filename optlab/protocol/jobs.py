"""The runs of a protocol: every trial on the seeds for tuning, every winner on fresh ones."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from hydra.core.override_parser.types import Glob, Override

from optlab.config import ConfigError
from optlab.protocol.protocol import Protocol
from optlab.protocol.space import Interval, drawn, units
from optlab.sweep.search import job_words
from optlab.sweep.words import MOST_JOBS

Words = tuple[str, ...]

#: Matched by ``glob(*)``, and no method: it is another class with every optimizer.target.
FOREIGN = "foreign"
OPTIMIZER = "optimizer"


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        optimizer: What is tuned.
        setting: Words that hold for all its trials: optimizer, schedule, and what the line varies
            and holds.
        trial: Number of its point of the search, from 0, the defaults.
        drawn: Words of that point.
        seed: Of the run.
    """

    optimizer: str
    setting: Words
    trial: int
    drawn: Words
    seed: int

    @property
    def words(self) -> Words:
        """All its words, but for where it goes."""
        return (*self.setting, *self.drawn, f"seed={self.seed}")


def optimizers(overrides: Sequence[Override]) -> tuple[list[str], list[str]]:
    """Return the optimizers that a line lists, and those that its pattern matches and leaves out.

    Raises:
        ConfigError: When it lists none.
    """
    given = [override for override in overrides if override.key_or_group == OPTIMIZER]
    if not given:
        raise ConfigError(
            "a protocol compares optimizers, and the line names none: give optimizer=adam,nag or "
            "'optimizer=glob(*)'"
        )
    last = given[-1]
    if not last.is_sweep_override():
        return [last.get_value_element_as_str()], []
    listed = list(dict.fromkeys(last.sweep_string_iterator()))
    out = [FOREIGN] if isinstance(last.value(), Glob) and FOREIGN in listed else []
    names = [name for name in listed if name not in out]
    if not names:
        raise ConfigError(f"{last.input_line} lists no optimizer to compare")
    return names, out


def tuning_jobs(
    protocol: Protocol,
    overrides: Sequence[Override],
    names: Iterable[str],
    space_of: Callable[[str], Mapping[str, Interval]],
) -> list[Job]:
    """Return every trial of every optimizer on the seeds for tuning.

    Args:
        protocol: What it follows.
        overrides: What the line says.
        names: Optimizers.
        space_of: What is searched of an optimizer.

    Raises:
        ConfigError: When the line says what the protocol searches, or there are too many runs.
    """
    beside = [o for o in overrides if o.key_or_group != OPTIMIZER and not _is_of_sweep(o)]
    schedules = [()] if protocol.held else protocol.schedules  # held words are on the line
    settings = [(*words, *by) for words, by in product(job_words(beside), schedules)]
    jobs = []
    for name in names:
        space = space_of(name)
        _refuse_searched(name, space, overrides)
        points = _points(space, protocol.budgets[-1])
        jobs += [
            Job(name, (f"optimizer={name}", *setting), trial, point, seed)
            for trial, point in enumerate(points)
            for setting in settings
            for seed in protocol.tuning_seeds
        ]
    if len(jobs) > MOST_JOBS:
        raise ConfigError(
            f"this protocol has {len(jobs):,} runs to tune by, and {MOST_JOBS:,} are the most: "
            "vary less on the line"
        )
    return jobs


def place_words(overrides: Sequence[Override]) -> Words:
    """Return the words of a line that say where runs go and how they are executed."""
    return tuple(str(o.input_line) for o in overrides if _is_of_sweep(o))


def _points(space: Mapping[str, Interval], trials: int) -> list[Words]:
    """Return the words of every trial: the defaults, then points, if there is anything to draw."""
    if not space:
        return [()]
    return [(), *(drawn(space, point) for point in units(trials - 1, len(space)))]


def _refuse_searched(
    name: str, space: Mapping[str, Interval], overrides: Sequence[Override]
) -> None:
    for override in overrides:
        section, _, option = override.key_or_group.partition(".")
        if section == OPTIMIZER and option in space:
            raise ConfigError(
                f"the protocol searches {override.key_or_group} of {name}, and the line gives a "
                "value: leave it out, or give a protocol of your own that does not search it "
                "(protocol=FILE.yaml)"
            )


def _is_of_sweep(override: Override) -> bool:
    return bool(re.match(r"(hydra|sweep)[./]", override.key_or_group))
