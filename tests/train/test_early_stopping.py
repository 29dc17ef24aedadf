"""REG-10: early stopping on scripted sequences of validation losses."""

import pytest

from optlab.train import EarlyStopping


def stops_at(losses, patience, min_delta=0.0):
    stopping = EarlyStopping(patience, min_delta)
    for i, loss in enumerate(losses):
        stopping.update(loss)
        if stopping.should_stop:
            return i, stopping.best_index
    return None, stopping.best_index


@pytest.mark.parametrize(
    ("patience", "expected"),
    [(0, (2, 1)), (1, (2, 1)), (2, (5, 3)), (5, (8, 3)), (None, (None, 3))],
)
def test_training_stops_after_patience_evaluations_without_improvement(patience, expected):
    losses = [1.0, 0.5, 0.6, 0.4, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert stops_at(losses, patience) == expected


def test_a_decrease_smaller_than_min_delta_is_no_improvement_but_the_best_so_far():
    losses = [1.0, 0.95, 0.9, 0.85]
    assert stops_at(losses, 2) == (None, 3)
    assert stops_at(losses, 2, min_delta=0.2) == (2, 2)
    stopping = EarlyStopping(2, min_delta=0.2)
    assert [stopping.update(loss) for loss in losses] == [True] * 4
    assert (stopping.best, stopping.best_index, stopping.improved_index) == (0.85, 3, 0)


def test_small_decreases_together_are_an_improvement():
    assert stops_at([1.0, 0.95, 0.9, 0.85, 0.8, 0.75], 3, min_delta=0.12) == (None, 5)


def test_improvement_is_measured_from_the_best_and_not_from_the_last():
    assert stops_at([1.0, 2.0, 1.5, 1.2], patience=3) == (3, 0)


def test_a_loss_equal_to_the_best_is_no_improvement():
    assert stops_at([1.0, 1.0], patience=1) == (1, 0)
