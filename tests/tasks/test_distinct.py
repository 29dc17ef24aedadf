import pytest
import torch

from optlab import seeding
from optlab.config import ConfigError
from optlab.tasks import distinct
from optlab.tasks.distinct import distinct_sequences


def drawn(rows, length, symbols, seed=0):
    return distinct_sequences(rows, length, symbols, seeding.generator(seed, "data"))


@pytest.mark.parametrize(("rows", "length", "symbols"), [(8, 3, 2), (500, 10, 2), (700, 6, 3)])
def test_no_two_rows_are_alike(rows, length, symbols):
    sequences = drawn(rows, length, symbols)
    assert sequences.shape == (rows, length)
    assert len(sequences.unique(dim=0)) == rows
    assert sequences.unique().tolist() == list(range(symbols))


def test_repeats_are_drawn_anew_where_there_are_too_many_sequences_to_lay_out(monkeypatch):
    monkeypatch.setattr(distinct, "_ENUMERABLE", 0)
    sequences = drawn(250, 8, 2)  # of 256: without the second draw a third would be repeats
    assert len(sequences.unique(dim=0)) == 250
    assert torch.equal(sequences, drawn(250, 8, 2))


def test_long_sequences_are_drawn_without_laying_them_out():
    sequences = drawn(100, 500, 7)
    assert len(sequences.unique(dim=0)) == 100
    # 50,000 draws of each symbol with probability 1/7: five standard deviations of the count
    assert (sequences.flatten().bincount() - 50_000 / 7).abs().max() < 5 * (50_000 * 6 / 49) ** 0.5


def test_every_sequence_is_as_likely_as_another():
    counts = torch.zeros(8)
    for seed in range(800):
        counts += (drawn(2, 3, 2, seed) @ torch.tensor([4, 2, 1])).bincount(minlength=8)
    # each is among the two of eight with probability 1/4: five standard deviations of the count
    assert (counts - 200).abs().max() < 5 * (800 * 3 / 16) ** 0.5


def test_more_rows_than_there_are_sequences_is_an_error():
    with pytest.raises(ConfigError, match=r"rows must be at most 9.*length 2 over 3.*got 10"):
        drawn(10, 2, 3)
