"""Which cells of a sweep are shown, and what they are called.

TensorBoard's page holds every run in memory, slows down with their number, and of more than 500
shows none unless asked. So of a large sweep only some cells are runs of their own there.
"""

from collections.abc import Iterator
from dataclasses import replace

from optlab.report.cells import Cell, Ranking, best_by_optimizer

MOST_RUNS = 500  # of all kinds; `sweep.tensorboard_runs` leaves room for cells
LEAST_CELLS, MOST_CELLS = 50, 150  # however many runs there are
MOST_BYTES = 120  # of a label in a name


def most_cells(num_runs: int) -> int:
    """Return how many cells are shown beside so many runs, and the folder that holds them."""
    return min(max(MOST_RUNS - 1 - num_runs, LEAST_CELLS), MOST_CELLS)


def chosen(ranking: Ranking, most: int) -> Ranking:
    """Return a ranking of the best cell of each optimizer, then of the best of all."""
    places = []
    for group, cells in ranking.groups.items():
        best = list(best_by_optimizer(cells).values())
        places += [(cell not in best, place, group) for place, cell in enumerate(cells)]
    kept = {(group, place) for _, place, group in sorted(places)[:most]}
    groups = {
        group: tuple(cell for place, cell in enumerate(cells) if (group, place) in kept)
        for group, cells in ranking.groups.items()
    }
    return replace(ranking, groups={group: cells for group, cells in groups.items() if cells})


def names(shown: Ranking, whole: Ranking) -> Iterator[tuple[Cell, str]]:
    """Give the shown cells with names such as ``01 adam, lr=0.01``, below their groups' if several.

    The number is the place among all cells of the group, so names sort as the ranking does.
    """
    for group, cells in shown.groups.items():
        digits = max(2, len(str(len(whole.groups[group]))))
        for cell in cells:
            place = whole.groups[group].index(cell) + 1
            name = f"{place:0{digits}d} {_safe(cell.label)}"
            yield cell, f"{_safe(group)}/{name}" if len(whole.groups) > 1 else name


def _safe(text: str) -> str:
    """Return a text as the name of a folder."""
    kept = "".join(char if char.isprintable() and char not in "/\\" else "_" for char in text)
    short = kept.encode()[:MOST_BYTES].decode(errors="ignore").strip()
    return short if short.strip(".") else "_"
