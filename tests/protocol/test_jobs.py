"""Which runs a protocol has: as many trials for every optimizer, on the seeds that it says."""

from collections import Counter

import pytest
from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser

from optlab.config import ConfigError
from optlab.protocol.jobs import Job, optimizers, place_words, tuning_jobs
from tests.protocol.following import protocol


@pytest.fixture
def overrides():
    """Return a reader of words that knows optlab's groups."""
    with initialize_config_module("optlab.configs", version_base="1.3"):
        parser = OverridesParser.create(GlobalHydra.instance().config_loader())
        yield lambda *words: parser.parse_overrides(list(words))


def listed(found, own, *names):
    spaces = own.spaces
    return tuning_jobs(own, found, names, lambda name: spaces.of(name, {"lr": 0.1}))


def test_every_optimizer_has_as_many_trials_and_the_first_is_its_defaults(overrides):
    own = protocol(tuning_seeds=[0, 1])
    jobs = listed(overrides("task=digits,xor", "trainer.epochs=2"), own, "adam", "nag", "mine")
    counts = Counter((job.optimizer, job.setting) for job in jobs)
    assert set(counts.values()) == {4 * 2}
    assert len(counts) == 3 * 2  # tasks
    assert all((job.drawn == ()) == (job.trial == 0) for job in jobs)
    assert jobs[0].words == ("optimizer=adam", "task=digits", "trainer.epochs=2", "seed=0")


def test_trials_of_a_smaller_budget_begin_those_of_a_larger_one(overrides):
    line = overrides("task=digits")
    few, many = (listed(line, protocol(budgets=[n]), "adam") for n in (3, 9))
    assert few == many[:3]


def test_learning_rates_of_optimizers_lie_at_the_same_places(overrides):
    jobs = listed(overrides("task=digits"), protocol(), "adam", "nag")
    rates = {
        name: [job.drawn[0] for job in jobs if job.optimizer == name and job.trial]
        for name in ("adam", "nag")
    }
    assert rates["adam"] == rates["nag"]


def test_several_schedules_are_settings_and_one_is_not(overrides):
    both = protocol(schedules=["constant", "cosine"])
    jobs = listed(overrides("task=digits"), both, "nag")
    assert {job.setting[-1] for job in jobs} == {"schedule=constant", "schedule=cosine"}
    assert len(jobs) == 2 * 4


def test_what_nothing_can_be_drawn_of_has_its_defaults_alone(overrides):
    jobs = tuning_jobs(protocol(), overrides("task=digits"), ["mine"], lambda name: {})
    assert jobs == [Job("mine", ("optimizer=mine", "task=digits"), 0, (), 0)]


def test_words_about_where_runs_go_are_of_the_line_and_of_no_setting(overrides):
    line = overrides("task=digits", "sweep.dir=out", "sweep.workers=2")
    assert listed(line, protocol(), "nag")[0].setting == ("optimizer=nag", "task=digits")
    assert place_words(line) == ("sweep.dir=out", "sweep.workers=2")


def test_foreign_is_compared_by_name_and_left_out_of_a_pattern(overrides):
    names, out = optimizers(overrides("optimizer=glob(*)"))
    assert {"adam", "sgd", "muon"} <= set(names)
    assert ("foreign" in names, out) == (False, ["foreign"])
    assert optimizers(overrides("optimizer=adam,foreign")) == (["adam", "foreign"], [])
    assert optimizers(overrides("optimizer=nag")) == (["nag"], [])


@pytest.mark.parametrize("word", ["task=xor", "optimizer=glob(none*)", "optimizer=glob(fore*)"])
def test_a_line_without_optimizers_is_refused(overrides, word):
    with pytest.raises(ConfigError, match=r"the line names none|lists no optimizer to compare"):
        optimizers(overrides(word))


def test_what_the_protocol_searches_cannot_be_given(overrides):
    line = overrides("task=digits", "optimizer.lr=0.1")
    with pytest.raises(ConfigError, match=r"the protocol searches optimizer\.lr of nag"):
        listed(line, protocol(), "nag")
    line = overrides("optimizer.lr_in_buffer=false")
    assert listed(line, protocol(), "nag")[0].setting == ("optimizer=nag", *WITHOUT)


def test_more_runs_than_can_be_planned_are_refused(overrides):
    line = overrides("model.hidden=[1],[2],[3]")
    with pytest.raises(ConfigError, match="has 120,000 runs to tune by, and 100,000 are the most"):
        tuning_jobs(protocol(budgets=[40_000]), line, ["mine"], lambda name: SPACE)


WITHOUT = ("optimizer.lr_in_buffer=False",)
SPACE = protocol().spaces.known["nag"]
