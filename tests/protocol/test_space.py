"""Intervals and points: where they lie, how they nest, and that optimizers can take them."""

import math

import pytest

import optlab.build  # noqa: F401 - registers optlab's optimizers
from optlab.catalog import choices, configured, entry
from optlab.config import ConfigError
from optlab.protocol.protocol import load
from optlab.protocol.space import Interval, drawn, read_spaces, units
from optlab.registry import optimizers


@pytest.mark.parametrize(
    ("interval", "middle"),
    [
        (Interval(1e-4, 1.0, "log"), 1e-2),
        (Interval(-1.0, 2.0, "linear"), 0.5),
        (Interval(0.9, 0.999, "complement"), 0.99),
    ],
)
def test_an_interval_is_even_in_its_scale(interval, middle):
    assert float(interval.at(0.5)) == pytest.approx(middle, rel=1e-5)
    assert float(interval.at(0.0)) == interval.low
    assert interval.low < float(interval.at(0.999999)) <= interval.high


def test_values_at_an_end_are_told_from_those_inside():
    rates = Interval(1e-4, 1.0, "log")
    assert rates.is_at_edge(1e-4)
    assert rates.is_at_edge(0.8)
    assert rates.is_at_edge(0.0)  # a default that lies outside
    assert not rates.is_at_edge(1e-3)
    assert Interval(0.5, 0.999, "complement").is_at_edge(0.9988)


def test_points_of_fewer_trials_begin_those_of_more_in_any_number_of_dimensions():
    many = units(50, 4)
    assert units(7, 4) == many[:7]
    assert [row[:1] for row in many] == units(50, 1)
    assert units(3, 0) == [[], [], []]


def test_a_point_is_said_in_the_words_of_the_command_line():
    space = {"lr": Interval(1e-4, 1.0, "log"), "momentum": Interval(0.0, 0.5, "linear")}
    assert drawn(space, [0.5, 0.5]) == ("optimizer.lr=0.01", "optimizer.momentum=0.25")


@pytest.mark.parametrize("name", ["quick", "standard"])
def test_every_optimizer_has_a_space_that_it_can_take(name):
    known = load(name).spaces.known
    assert set(known) == set(choices("optimizer")) - {"foreign"}
    for optimizer, space in known.items():
        options = entry("optimizer", optimizer).options
        assert next(iter(space)) == "lr"
        for option, interval in space.items():
            assert option in {key.removeprefix("optimizer.") for key in options}
            for end in (interval.low, interval.high):
                optimizers.bind(configured("optimizer", optimizer), {option: end})


@pytest.mark.parametrize("name", ["quick", "standard"])
def test_the_default_learning_rate_lies_in_what_is_searched(name):
    for optimizer, space in load(name).spaces.known.items():
        default = float(entry("optimizer", optimizer).options["lr"])
        assert space["lr"].low <= default <= space["lr"].high


def test_an_optimizer_without_a_space_is_searched_around_its_default():
    spaces = read_spaces({"optimizers": {}, "others": {"factor": 10}}, "it")
    (interval,) = spaces.of("mine", {"name": "mine", "lr": 0.5}).values()
    assert (interval.low, interval.high, interval.scale) == (0.05, 5.0, "log")
    (unknown,) = spaces.of("foreign", {"lr": None}).values()
    assert math.sqrt(unknown.low * unknown.high) == pytest.approx(spaces.rate)
    assert spaces.of("mine", {"name": "mine"}) == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"log": [0, 1]}, "log searches from a number to a larger one above 0"),
        ({"complement": [0.5, 1.0]}, "a larger one below 1"),
        ({"linear": [2, 1]}, "linear searches from a number to a larger one, got"),
        ({"log": [1e-4]}, "two numbers"),
        ({"log": ["1e-4", 1]}, "two numbers"),
        ({"lag": [1, 2]}, "unknown scale of it: adam.lr 'lag'; known, nearest first: log"),
        ([1, 2], "must be a mapping"),
        ({"log": [1, 2], "linear": [1, 2]}, "an interval is given as SCALE"),
    ],
)
def test_an_interval_that_cannot_be_searched_is_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        read_spaces({"optimizers": {"adam": {"lr": given}}}, "it")


def test_a_factor_that_makes_no_interval_is_refused():
    with pytest.raises(ConfigError, match=r"factor must be in \(1, inf\), got 1"):
        read_spaces({"optimizers": {}, "others": {"factor": 1}}, "it")
