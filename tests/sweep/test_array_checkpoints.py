"""Which runs of a sweep go on from which checkpoint of an array."""

import pytest

from optlab.sweep.array_checkpoints import ArrayCheckpoints
from tests.sweep.planning import planned


@pytest.fixture
def runs():
    """Return four runs of a sweep."""
    return [planned(seed, seed=seed) for seed in range(4)]


def stopped(sweep, runs, updates=5):
    """Leave a checkpoint of an array after some updates."""
    checkpoints = ArrayCheckpoints(sweep)
    checkpoints.note(runs)
    checkpoints.of(runs).write(updates, {"updates": updates})
    return checkpoints


def starts(checkpoints, runs):
    """Return of each start its runs by number, its places and its update."""
    return [
        (
            [run.number for run in start.runs],
            start.places,
            start.checkpoints and start.checkpoints.updates,
        )
        for start in checkpoints.starts(runs)
    ]


def test_runs_without_checkpoints_begin_together(tmp_path, runs):
    assert starts(ArrayCheckpoints(tmp_path), runs) == [([0, 1, 2, 3], (), None)]


def test_those_that_stopped_together_go_on_together_and_the_others_begin(tmp_path, runs):
    checkpoints = stopped(tmp_path, runs[:3])
    assert starts(checkpoints, runs) == [([0, 1, 2], (0, 1, 2), 5), ([3], (), None)]


def test_a_part_of_them_goes_on_from_the_same_checkpoint(tmp_path, runs):
    checkpoints = stopped(tmp_path, runs[:3])
    assert starts(checkpoints, runs[2:]) == [([2], (2,), 5), ([3], (), None)]


def test_a_part_that_came_further_goes_on_from_its_own(tmp_path, runs):
    checkpoints = stopped(tmp_path, runs[1:2], 9)
    stopped(tmp_path, runs[:3])
    assert starts(checkpoints, runs[:3]) == [([1], (0,), 9), ([0, 2], (0, 2), 5)]


def test_runs_that_cannot_be_built_do_not_shift_the_others(tmp_path, runs):
    (start, _) = stopped(tmp_path, runs[:3]).starts(runs)
    kept = start.only([2, 0])
    assert ([run.number for run in kept.runs], kept.places) == ([0, 2], (0, 2))


def test_what_nobody_wants_any_more_is_removed(tmp_path, runs):
    checkpoints = stopped(tmp_path, runs[:3])
    stopped(tmp_path, runs[3:])
    checkpoints.keep({runs[3].identity})
    (left,) = tmp_path.glob("checkpoints/*")
    assert left == checkpoints.of(runs[3:]).folder
    checkpoints.keep(set())
    assert not (tmp_path / "checkpoints").exists()
