"""Checking all runs of a sweep: everything that building would refuse, and little work for it."""

from pathlib import Path

import pytest

from optlab.build import build
from optlab.config import ConfigError
from optlab.sweep import validate
from optlab.sweep.planned import PlannedRun
from tests.sweep.composing import configuration

#: What no value shows alone.
MEETINGS = {
    "loss and classes": ("loss=bce", "task.centers=3"),
    "loss and task": ("loss=objective",),
    "model and activation": ("model=linear",),
    "model and rows": ("model=lstm",),
    "norm and batch": ("norm=batchnorm", "trainer.batch_size=1"),
    "rule and penalty": ("optimizer=adamw", "regularizer=decay"),
    "rule and transform": ("optimizer=foreign", "transform=ema"),
    "class and options": ("optimizer=foreign", "++optimizer.lrr=1"),
}


def run(number, *overrides, task="blobs", chosen=()):
    config = configuration(*overrides, task=task)
    own = {key: value for key, value in config.items() if key != "sweep"}
    return PlannedRun(number, overrides, own, Path(f"run{number}"), frozenset(chosen))


@pytest.fixture
def builds(monkeypatch):
    """Return, for every run that is built, whether its data was loaded."""
    loaded = []
    stock = validate.parts_of

    def recorded(config, chosen, like):
        loaded.append(like is None)
        return stock(config, chosen, like)

    monkeypatch.setattr(validate, "parts_of", recorded)
    return loaded


@pytest.mark.parametrize("name", MEETINGS)
def test_a_run_is_refused_for_the_reason_that_building_gives(name):
    bad = run(1, *MEETINGS[name], chosen=["activation"])
    with pytest.raises(ConfigError) as reason:
        build(bad.config, bad.chosen)
    with pytest.raises(ConfigError) as refusal:
        validate.refuse_invalid([run(0), bad])
    assert str(refusal.value) == (
        f"1 of 2 jobs cannot run, and none was started: run1: {reason.value}"
    )


def test_what_is_wrong_with_every_run_is_said_of_none():
    with pytest.raises(ConfigError) as refusal:
        validate.refuse_invalid([run(seed, "loss=bce", f"seed={seed}") for seed in range(3)])
    assert str(refusal.value).startswith("loss bce does not fit")


def test_runs_that_differ_in_numbers_alone_are_built_once(builds):
    numbers = [("seed=1",), ("optimizer.lr=0.5",), ("schedule=step",), ("regularizer.l2=0",)]
    validate.refuse_invalid([run(i, *words) for i, words in enumerate(numbers)])
    assert builds == [True]


def test_data_is_loaded_once_for_every_shape_whatever_the_order(builds):
    words = [(f"model.hidden=[{n}]", f"activation={a}") for a in ("relu", "tanh") for n in (3, 4)]
    validate.refuse_invalid([run(i, *each) for i, each in enumerate(words)])
    assert builds == [True, False, True, False]


def test_jobs_are_told_in_the_order_of_the_sweep():
    bad = [run(0, "trainer.batch_size=-1"), run(1), run(2, "seed=-1"), run(3, "seed=-2")]
    with pytest.raises(ConfigError) as refusal:
        validate.refuse_invalid(bad)
    told = str(refusal.value).splitlines()
    assert told[0] == "3 of 4 jobs cannot run, and none was started:"
    assert [line.split(":")[0].strip() for line in told[1:]] == ["run0", "run2", "run3"]
