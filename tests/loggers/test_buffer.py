from collections.abc import Callable

import numpy as np
import pytest

from optlab.loggers.buffer import RecordBuffer

SetClock = Callable[[float], None]


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    def set_to(seconds: float) -> None:
        monkeypatch.setattr("optlab.loggers.buffer.time.perf_counter", lambda: seconds)

    monkeypatch.setattr("optlab.loggers.buffer.time.time", lambda: 100.0)  # of day, and stays
    set_to(100.0)
    return set_to


def test_records_come_out_by_tags_with_all_that_went_in() -> None:
    buffer = RecordBuffer()
    buffer.add(1, 0, 0.0, {"loss/val": 2.0, "accuracy/val": 0.5})
    buffer.add_block([0, 1], [10, 20], [0.5, 1.0], ["lr"], np.array([[[1], [2]], [[3], [4]]]))
    buffer.add(0, 20, 1.0, {"loss/val": 1.0, "accuracy/val": 0.75})
    assert buffer.num_values == 8
    found = {records.tags: records for records in buffer.take()}
    scores, rates = found["loss/val", "accuracy/val"], found["lr",]
    assert (scores.runs.tolist(), scores.updates.tolist()) == ([0, 1], [20, 0])
    assert scores.values.tolist() == [[1.0, 0.75], [2.0, 0.5]]
    assert rates.runs.tolist() == [0, 0, 1, 1]
    assert rates.updates.tolist() == [10, 20, 10, 20]
    assert rates.epochs.tolist() == [0.5, 1.0, 0.5, 1.0]
    assert rates.values.tolist() == [[1.0], [2.0], [3.0], [4.0]]
    assert (buffer.take(), buffer.num_values) == ([], 0)


def test_places_tell_in_which_order_the_records_of_a_run_were_made() -> None:
    buffer = RecordBuffer()
    buffer.add(0, 0, 0.0, {"a": 1.0})
    buffer.add_block([0], [1, 2], [0.1, 0.2], ["b"], np.zeros((1, 2, 1)))
    buffer.add(0, 2, 0.2, {"a": 1.0})
    found = {records.tags: records.places.tolist() for records in buffer.take()}
    assert sorted(found["a",] + found["b",]) == [found["a",][0], *found["b",], found["a",][1]]


def test_records_of_the_same_tags_come_out_run_by_run_as_they_were_made() -> None:
    buffer = RecordBuffer()
    for update in (0, 10, 20):
        buffer.add(1, update, 0.0, {"a": update})
        buffer.add_block([0, 1], [update + 5], [0.0], ["a"], np.full((2, 1, 1), update + 5))
    (records,) = buffer.take()
    assert records.runs.tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert records.updates.tolist() == [5, 15, 25, 0, 5, 10, 15, 20, 25]
    assert records.values[:, 0].tolist() == records.updates.tolist()


def test_a_block_may_change_afterwards() -> None:
    buffer, values = RecordBuffer(), np.ones((1, 1, 1))
    buffer.add_block([0], [1], [0.1], ["a"], values)
    values[:] = 2.0
    assert buffer.take()[0].values.tolist() == [[1.0]]


def test_the_times_of_a_block_are_spread_by_update_since_the_last_record(
    set_clock: SetClock,
) -> None:
    buffer = RecordBuffer()
    set_clock(102.0)
    buffer.add(1, 20, 1.0, {"a": 0.0})
    set_clock(104.0)
    buffer.add_block([0, 1], [30, 40], [1.5, 2.0], ["b"], np.zeros((2, 2, 1)))
    set_clock(105.0)
    buffer.add_block([1], [60], [2.5], ["b"], np.zeros((1, 1, 1)))
    found = {records.tags: records.times.tolist() for records in buffer.take()}
    assert found["a",] == [102.0]
    assert found["b",] == [103.0, 104.0, 103.0, 104.0, 105.0]


def test_the_times_of_a_first_block_are_spread_since_the_start(set_clock: SetClock) -> None:
    buffer = RecordBuffer()
    set_clock(104.0)
    buffer.add_block([3], [10, 20, 40], [1.0, 2.0, 4.0], ["b"], np.zeros((1, 3, 1)))
    assert buffer.take()[0].times.tolist() == [101.0, 102.0, 104.0]


def test_blocks_of_changing_runs_keep_their_own_values() -> None:
    buffer = RecordBuffer()
    for update, runs in enumerate([[0, 1], [0, 1], [1], [0, 1]]):
        values = np.array(runs)[:, None, None] * 10.0 + update
        buffer.add_block(runs, [update], [update / 2], ["a"], values)
    (records,) = buffer.take()
    assert records.runs.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert records.epochs.tolist() == [0.0, 0.5, 1.5, 0.0, 0.5, 1.0, 1.5]
    assert records.values[:, 0].tolist() == [0.0, 1.0, 3.0, 10.0, 11.0, 12.0, 13.0]


def test_a_second_block_at_the_same_update_was_made_no_earlier(set_clock: SetClock) -> None:
    buffer = RecordBuffer()
    set_clock(101.0)
    buffer.add(0, 7, 0.5, {"a": 0.0})
    buffer.add_block([0], [7], [0.5], ["a"], np.zeros((1, 1, 1)))
    (records,) = buffer.take()
    assert records.times.tolist() == [101.0, 101.0]


def test_a_record_without_values_is_none() -> None:
    buffer = RecordBuffer()
    buffer.add(0, 7, 0.5, {})
    buffer.add_block([0], [7], [0.5], [], np.zeros((1, 1, 0)))
    assert buffer.take() == []
