"""Which runs of a large sweep TensorBoard is given."""

from collections import Counter
from itertools import product

import pytest

from optlab.sweep.array import Means
from optlab.sweep.ledger import Ledger
from optlab.sweep.tensorboard_runs import choice, with_shown
from optlab.sweep.worker import Task
from tests.sweep.executing import seeds
from tests.sweep.ledgers import GRID, LINE

CELLS = [*product(range(40), "abcde", "xyz")]
GRID_OF_SEEDS = [cell for cell in CELLS for _ in range(4)]


def cells_of(chosen):
    return Counter(GRID_OF_SEEDS[place] for place in chosen)


def test_the_first_seed_of_every_cell_comes_before_the_second_of_any():
    chosen = choice(GRID_OF_SEEDS, len(CELLS))
    assert chosen == set(range(0, len(GRID_OF_SEEDS), 4))
    assert Counter(cells_of(choice(GRID_OF_SEEDS, len(CELLS) + 7)).values()) == {1: 593, 2: 7}


@pytest.mark.parametrize("most", [60, 100, 200, 300])
def test_of_too_many_cells_those_chosen_lie_evenly_on_every_axis(most):
    """No step of the choice may fall in with the grid, whose axes are 40, 5 and 3 long."""
    chosen = cells_of(choice(GRID_OF_SEEDS, most))
    assert max(chosen.values()) == 1
    for axis, length in ((1, 5), (2, 3)):
        along = Counter(cell[axis] for cell in chosen)
        assert len(along) == length
        assert max(along.values()) - min(along.values()) <= 0.15 * most / length + 2
    assert len({cell[0] for cell in chosen}) == 40


def test_more_runs_are_a_larger_choice_of_the_same():
    smaller, larger = choice(GRID_OF_SEEDS, 50), choice(GRID_OF_SEEDS, 500)
    assert smaller < larger


def test_none_and_all():
    assert choice(GRID_OF_SEEDS, 0) == set()
    assert choice(GRID_OF_SEEDS, 10**6) == set(range(len(GRID_OF_SEEDS)))


@pytest.fixture
def sweep(tmp_path):
    """Return runs of one cell, tasks of two each, and their ledger."""
    runs = seeds(tmp_path / "sweep", 6)
    with Ledger(tmp_path / "sweep") as ledger:
        ledger.enter(runs, GRID, LINE)
        tasks = [Task(1, (i, i + 1), Means("single")) for i in (0, 2, 4)]
        yield runs, tasks, ledger


def shown(tasks):
    return [task.means.shown for task in tasks]


def test_every_task_knows_its_own_and_the_choice_is_said(sweep, capsys):
    runs, tasks, ledger = sweep
    assert shown(with_shown(tasks, runs, ledger, 3)) == [[0, 1], [2], []]
    assert "TensorBoard gets 3 of 6 runs" in capsys.readouterr().err


def test_another_part_of_the_sweep_chooses_the_same(sweep):
    runs, tasks, ledger = sweep
    assert shown(with_shown(tasks[1:], runs[2:], ledger, 3)) == [[2], []]


def test_where_all_may_be_shown_nothing_is_said(sweep, capsys):
    runs, tasks, ledger = sweep
    for most in (6, None):
        assert shown(with_shown(tasks, runs, ledger, most)) == [None] * 3
    assert capsys.readouterr().err == ""
