"""What a search draws: where from, in what order, and that more trials change no earlier one."""

import itertools
import math

import pytest

from optlab.config import ConfigError
from optlab.sweep.search import job_words
from optlab.sweep.words import parse

LOG = "optimizer.lr=tag(log,interval(1e-4,1e-1))"
SEARCHES = ["random", "halton"]


def jobs(*line, search="grid", trials=None):
    return job_words(parse(line), search, trials)


def drawn(key, *line, search="halton", trials=50):
    """Return the values of one key, job by job."""
    words = [
        dict(word.split("=", 1) for word in job)
        for job in jobs(*line, search=search, trials=trials)
    ]
    return [float(job[key]) for job in words]


def test_a_grid_goes_through_the_last_word_first():
    assert jobs("a=1,2", "b=x", "c=range(0,2)") == [
        ("a=1", "b=x", "c=0"),
        ("a=1", "b=x", "c=1"),
        ("a=2", "b=x", "c=0"),
        ("a=2", "b=x", "c=1"),
    ]


@pytest.mark.parametrize("search", SEARCHES)
def test_fewer_trials_are_the_beginning_of_more(search):
    line = [LOG, "seed=0,1", "regularizer.l2=interval(0,1)"]
    few, many = (jobs(*line, search=search, trials=trials) for trials in (25, 75))
    assert len(many) == 150
    assert many[:50] == few


@pytest.mark.parametrize("search", SEARCHES)
def test_another_interval_changes_nothing_for_those_before_it(search):
    alone = drawn("optimizer.lr", LOG, search=search)
    assert drawn("optimizer.lr", LOG, "b=interval(0,1)", search=search) == alone


@pytest.mark.parametrize("search", SEARCHES)
def test_every_cell_of_the_grid_sees_the_same_points(search):
    by_cell = {}
    for job in jobs("optimizer=adam,sgd", LOG, search=search, trials=20):
        by_cell.setdefault(job[0], []).append(job[1])
    assert by_cell["optimizer=adam"] == by_cell["optimizer=sgd"]
    assert len(set(by_cell["optimizer=adam"])) == 20


def test_two_keys_are_drawn_apart():
    line = ["a=interval(0,1)", "b=interval(0,1)"]
    assert drawn("a", *line, search="random") != drawn("b", *line, search="random")


def test_halton_points_of_a_logarithmic_interval_fill_every_part_of_it():
    """Base 2: of 64 points in a row every eighth of the range holds eight, scrambled or not."""
    values = drawn("optimizer.lr", LOG, trials=64)
    eighths = [math.floor((math.log10(value) + 4) / 3 * 8) for value in values]
    assert all(eighths.count(part) == 8 for part in range(8))


@pytest.mark.parametrize("search", SEARCHES)
def test_values_lie_within_the_ends_and_are_short(search):
    values = drawn("a", "a=interval(0.1234567,0.1234568)", search=search)
    assert all(0.1234567 <= value <= 0.1234568 for value in values)
    texts = [word for job in jobs(LOG, search=search, trials=50) for word in job]
    assert max(map(len, texts)) <= len("optimizer.lr=0.000123456")


def test_whole_numbers_have_both_ends_and_are_alike_often():
    values = drawn("a", "a=int(interval(1,4))", trials=64)
    assert [values.count(n) for n in (1, 2, 3, 4)] == [16, 16, 16, 16]


def test_whole_numbers_may_be_logarithmic():
    values = drawn("a", "a=tag(log,int(interval(1,1000)))", trials=64)
    assert all(value.is_integer() for value in values)
    assert 24 <= sum(value < 32 for value in values) <= 40  # half of the decades


def test_a_key_that_is_given_twice_takes_the_later_words():
    assert jobs("a=interval(0,1)", "b=1", "a=5") == [("a=5", "b=1")]
    twice = jobs("a=3", "b=1", "a=interval(0,1)", search="random", trials=1)
    assert [word.partition("=")[0] for word in twice[0]] == ["a", "b"]
    assert twice[0][0] != "a=3"


def test_trials_count_the_points_and_not_the_jobs():
    line = ["a=interval(0,1)", "b=interval(0,1)", "c=1,2,3"]
    found = jobs(*line, search="halton", trials=7)
    assert len(found) == 21
    assert len({job[:2] for job in found}) == 7
    assert [job[2] for job in found] == list(
        itertools.islice(itertools.cycle(["c=1", "c=2", "c=3"]), 21)
    )


@pytest.mark.parametrize(
    ("line", "search", "trials", "message"),
    [
        ([LOG], "grid", None, "optimizer.lr=interval\\(...\\) has no values to list: add"),
        (["a=1,2"], "grid", 5, "sweep.trials=5 is for a search"),
        (["a=1,2"], "halton", 5, "sweep.search=halton has nothing to search"),
        ([LOG], "random", None, "needs the number of points: sweep.trials=N"),
        (["a=interval(2,1)"], "random", 5, "from a number to a larger one, got a=interval"),
        (["a=interval(0,inf)"], "random", 5, "from a number to a larger one"),
        (["a=tag(log,interval(0,1))"], "random", 5, "the logarithm needs an interval above 0"),
        (["a=tag(lg,interval(1,2))"], "random", 5, "knows the tag log, .* got lg"),
        ([f"a{i}=interval(0,1)" for i in range(21)], "halton", 5, "up to 20 intervals, got 21"),
        (["a=range(3,1)"], "grid", None, "a=range\\(3,1\\) lists no value"),
    ],
)
def test_what_cannot_be_searched_is_refused_with_a_remedy(line, search, trials, message):
    with pytest.raises(ConfigError, match=message):
        jobs(*line, search=search, trials=trials)
