"""Which rows each update sees: OPT-03, OPT-07, OPT-08, OPT-11, BAT-01."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from optlab.train import Sampler

CPU = torch.device("cpu")


def rows_of(sampler, epoch=0):
    return [None if rows is None else rows.tolist() for rows in sampler.epoch(epoch)]


def flat(batches):
    return [row for batch in batches for row in batch]


@given(rows=st.integers(1, 40), size=st.integers(1, 50), seed=st.integers(0, 9))
def test_a_shuffled_epoch_visits_every_row_once_in_batches_of_the_asked_size(rows, size, seed):
    sampler = Sampler(rows, size, "shuffle", seed, CPU)
    batches = rows_of(sampler)
    assert len(batches) == sampler.updates_per_epoch
    if size >= rows:
        assert batches == [None]
        return
    assert sorted(flat(batches)) == list(range(rows))
    assert {len(b) for b in batches[:-1]} <= {size}
    assert len(batches[-1]) == rows - size * (len(batches) - 1)


def test_full_batch_makes_exactly_one_update_per_epoch():
    sampler = Sampler(1078, 1078, "shuffle", 0, CPU)
    assert sampler.updates_per_epoch == 1
    assert rows_of(sampler) == [None]


def test_single_row_descent_makes_one_update_per_row():
    assert Sampler(7, 1, "shuffle", 0, CPU).updates_per_epoch == 7


def test_the_short_last_batch_is_kept():
    assert [len(b) for b in rows_of(Sampler(10, 4, "shuffle", 0, CPU))] == [4, 4, 2]


@given(rows=st.integers(1, 30), size=st.integers(1, 40), updates=st.integers(0, 90))
def test_the_rows_of_some_updates_are_those_of_their_batches(rows, size, updates):
    sampler = Sampler(rows, size, "shuffle", 0, CPU)
    sizes = [rows if b is None else len(b) for b in rows_of(sampler)]
    repeats = updates // len(sizes) + 1
    assert sampler.rows_of(updates) == sum((sizes * repeats)[:updates])


def test_replacement_draws_rows_at_random_and_may_repeat_them():
    batches = rows_of(Sampler(50, 1, "replacement", 0, CPU))
    drawn = flat(batches)
    assert len(drawn) == 50
    # 50 draws from 50 rows without any repetition have probability 3e-21.
    assert len(set(drawn)) < 50


def test_replacement_of_all_rows_is_still_a_random_draw():
    (batch,) = rows_of(Sampler(20, 20, "replacement", 0, CPU))
    assert len(batch) == 20
    assert sorted(batch) != list(range(20))


def test_sequential_keeps_the_order_of_the_data():
    assert rows_of(Sampler(5, 2, "sequential", 3, CPU)) == [[0, 1], [2, 3], [4]]


def test_the_order_depends_on_seed_and_epoch_and_on_nothing_else():
    sampler = Sampler(100, 10, "shuffle", 1, CPU)
    torch.manual_seed(5)
    first = rows_of(sampler, epoch=3)
    torch.manual_seed(6)
    assert rows_of(sampler, epoch=3) == first
    assert rows_of(sampler, epoch=4) != first
    assert rows_of(Sampler(100, 10, "shuffle", 2, CPU), epoch=3) != first
