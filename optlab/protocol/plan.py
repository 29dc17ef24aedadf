"""What a protocol would do, as far as it is known before it is done."""

from collections.abc import Sequence

from optlab.protocol.folders import BASELINES, BUDGETS, RERUN, TUNE, is_followed
from optlab.protocol.line import Line
from optlab.protocol.protocol import Protocol
from optlab.protocol.record import read_record, refuse_other
from optlab.protocol.stage import Tuning, train
from optlab.saying import tell


def plan(line: Line, protocol: Protocol) -> None:
    """Tell which stages there are, with their runs, and train nothing.

    Raises:
        ConfigError: For what was typed, or for a folder that is another's.
    """
    if is_followed(line.folder):
        refuse_other(read_record(line.folder), line, protocol)
    tuning = Tuning(protocol)
    tell(f"protocol {protocol.title}\n\n{TUNE}: every trial of every optimizer")
    train(line, line.folder / TUNE, tuning, protocol.held, "--plan")
    tell("\n".join(["", *_told(protocol, tuning)]))


def _told(protocol: Protocol, tuning: Tuning) -> list[str]:
    settings = len({job.setting for job in tuning.jobs})
    seeds, (*smaller, largest) = len(protocol.rerun_seeds), protocol.budgets
    lines = [
        f"{TUNE}: {len(tuning.jobs)} runs: {settings} searches, up to {largest} trials each, on "
        f"{_seeds(len(protocol.tuning_seeds))}",
        f"{RERUN}: {settings * seeds} runs: {settings} winners of {largest} trials on "
        f"{_seeds(seeds)}; which they are is known after {TUNE}",
    ]
    if smaller:
        most = settings * seeds * len(smaller)
        lines.append(
            f"{BUDGETS}: up to {most} runs: winners of {_listing(smaller)} trials on the same "
            f"seeds, where they are others"
        )
    if (own := protocol.for_targets) is not None:
        names = protocol.targets.baselines
        lines.append(
            f"{BASELINES}: {', '.join(names)}, {own.budgets[-1]} trials each and "
            f"{len(own.rerun_seeds)} reruns of each winner, for the target alone"
        )
    if tuning.left_out:
        lines.append(left_out_text(tuning.left_out))
    return lines


def left_out_text(names: Sequence[str]) -> str:
    """Say which optimizers take no part, and why."""
    return (
        f"Left out: {', '.join(names)}, which a pattern matches and no class stands for; name it, "
        "with optimizer.target=IMPORT.PATH, in a line of its own."
    )


def _seeds(number: int) -> str:
    return "1 seed" if number == 1 else f"{number} seeds"


def _listing(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:-1])) + (" and " if numbers[1:] else "") + str(numbers[-1])
