"""Which runs of a large sweep TensorBoard is given.

Its browser page holds every run in memory and draws all of them. On two cores, curves of 200
points: 250 runs take 7 s to load and 1 s for a click on the list, 500 runs 14 s and 2 s; beyond 500
it shows none unless asked, and asked for 2,000 it stands still for half a minute. So a sweep writes
event files for some of its runs: for so many that there is room for cells (`optlab.dashboard`). The
curves of all are in its table.
"""

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import replace

from optlab.saying import say
from optlab.sweep.ledger_reader import LedgerReader
from optlab.sweep.planned import PlannedRun
from optlab.sweep.worker import Task

#: Its multiples, without what stands before the point, fill the unit interval evenly from the first
#: on (Weyl, 1916), and keep no step with a grid, whatever the lengths of its axes.
GOLDEN_RATIO = (5**0.5 - 1) / 2


def with_shown(
    tasks: Sequence[Task], runs: Iterable[PlannedRun], ledger: LedgerReader, most: int | None
) -> list[Task]:
    """Return the tasks with the runs that TensorBoard is given, and say which these are.

    Args:
        tasks: What is to be trained.
        runs: The runs of all tasks.
        ledger: The whole sweep, which the choice is made from: another part of it that is trained
            later, or by another process, chooses the same.
        most: ``sweep.tensorboard_runs``.
    """
    cells = {entry.number: entry.cell for entry in ledger.entries()}
    loggers = [run.config["logger"] for run in runs]
    wanted = any(logger["tensorboard"] for logger in loggers)
    if most is None or len(cells) <= most or not wanted:
        return list(tasks)
    numbers = list(cells)
    chosen = {numbers[place] for place in choice(list(cells.values()), most)}
    has_table = all(logger["table"] for logger in loggers)
    say(_sentence(list(cells.values()), most, has_table))
    return [
        replace(task, means=replace(task.means, shown=[n for n in task.numbers if n in chosen]))
        for task in tasks
    ]


def choice(cells: Sequence[Hashable], most: int) -> Collection[int]:
    """Return the places of the runs that are shown, of those of a sweep.

    The first run of every cell comes before the second of any; among as many runs of cells that do
    not all fit, they are spread evenly over the cells.

    Args:
        cells: The cell of each run: what it shares with the runs that differ only in their seed.
        most: How many to choose.
    """
    order: dict[Hashable, int] = {}
    before: Counter[Hashable] = Counter()
    keys = []
    for place, cell in enumerate(cells):
        number = order.setdefault(cell, len(order))
        keys.append((before[cell], number * GOLDEN_RATIO % 1, place))
        before[cell] += 1
    return {place for _, _, place in sorted(keys)[:most]}


def _sentence(cells: Sequence[Hashable], most: int, has_table: bool) -> str:
    """Say what is chosen, and where the curves of the others are."""
    num_cells = len(set(cells))
    if most < num_cells:
        which = f"one seed in {most:,} of {num_cells:,} cells, evenly spread"
    else:
        which = f"of all {num_cells:,} cells, the first seeds of each"
    rest = (
        "the curves of all are in the table metrics/" if has_table else "the others keep no curve"
    )
    return (
        f"TensorBoard gets {most:,} of {len(cells):,} runs: {which}; {rest}; "
        "sweep.tensorboard_runs=null gives it all"
    )
