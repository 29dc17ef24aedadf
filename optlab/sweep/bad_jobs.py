"""One message about all jobs of a sweep that cannot run, before any of them starts."""

from collections.abc import Sequence

from optlab.config import ConfigError

#: How many different reasons a message gives of those that there are.
FEW = 10


def refuse_jobs(mistakes: Sequence[tuple[str, str]], num_jobs: int) -> None:
    """Refuse a sweep some of whose jobs cannot run.

    Args:
        mistakes: Name of a job, and why it cannot run.
        num_jobs: How many jobs the sweep has.

    Raises:
        ConfigError: When there is a mistake; each reason once, with the first job that has it.
    """
    if not mistakes:
        return
    jobs: dict[str, list[str]] = {}
    for name, reason in mistakes:
        jobs.setdefault(reason, []).append(name)
    if len(jobs) == 1 and len(mistakes) == num_jobs:
        raise ConfigError(mistakes[0][1])  # it is the line that is wrong, not a job
    listed = [f"{_names(names)}: {reason}" for reason, names in list(jobs.items())[:FEW]]
    more = [f"and {len(jobs) - FEW} other reasons"] if len(jobs) > FEW else []
    text = f"{len(mistakes)} of {num_jobs} jobs cannot run, and none was started"
    if len(listed) == 1:
        raise ConfigError(f"{text}: {listed[0]}")
    raise ConfigError("\n  ".join([f"{text}:", *listed, *more]))


def _names(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
