import itertools
import math

import pytest
import torch

from optlab import seeding
from optlab.config import ConfigError
from optlab.tasks import distinct
from optlab.tasks.distinct import distinct_choices, distinct_sequences


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
    sequences = drawn(120, 8, 2)  # of 256: a fifth of the first draws are repeats
    assert len(sequences.unique(dim=0)) == 120
    assert torch.equal(sequences, drawn(120, 8, 2))


def test_most_of_all_sequences_are_laid_out_however_many_there_are(monkeypatch):
    """Chance would look for the last ones for long: each draw finds it once in so many times."""
    monkeypatch.setattr(distinct, "_ENUMERABLE", 0)
    monkeypatch.setattr(distinct, "_without_repeats", None)
    sequences = drawn(2**10, 10, 2)
    assert len(sequences.unique(dim=0)) == 2**10


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


@pytest.mark.parametrize(
    ("rows", "items", "chosen"), [(15, 6, 2), (9, 6, 2), (5, 6, 2), (30, 60, 30), (1, 4, 0)]
)
def test_no_two_choices_are_alike(rows, items, chosen):
    """Laid out, or drawn: with 15 choices, 5 rows are few."""
    choices = distinct_choices(rows, items, chosen, seeding.generator(0, "data"))
    assert choices.shape == (rows, items)
    assert (choices.sum(1) == chosen).all()
    assert len(choices.unique(dim=0)) == rows


def test_choices_are_no_more_than_there_are():
    choices = distinct_choices(100, 5, 3, seeding.generator(0, "data"))
    found = {tuple(row.nonzero()[:, 0].tolist()) for row in choices}
    assert len(choices) == math.comb(5, 3)
    assert found == set(itertools.combinations(range(5), 3))


@pytest.mark.parametrize("rows", [1, 3])
def test_every_choice_is_as_likely_as_another(rows):
    counts = torch.zeros(4)
    for seed in range(800):
        counts += distinct_choices(rows, 4, 1, seeding.generator(seed, "data")).sum(0)
    # each of four is among `rows` with probability rows / 4: five standard deviations of the count
    share = rows / 4
    assert (counts - 800 * share).abs().max() < 5 * (800 * share * (1 - share)) ** 0.5
