"""Networks built to have a fault get its verdict, sound ones none; and what judging needs."""

import pytest
import torch

from optlab.diagnostics.verdicts import RULES
from optlab.train.judging import Judge, chance_loss, facts_of
from optlab.train.stack.loop import StackTraining
from optlab.train.stack.sequential import Sequential
from optlab.train.standing import Outcome
from tests.train.stack.configs import parts

DEEP = "model.hidden=[32,32,32,32,32,32,32,32]"
DIGITS = (
    *("task.train_rows=200", "trainer.epochs=30"),
    *("diagnostics.every=50", "diagnostics.flow_every=40"),
)

FAULTY = {
    "vanishing_gradient": (DEEP, "activation=sigmoid", "init=xavier_uniform"),
    "exploding_gradient": (DEEP, "init=uniform_large", "optimizer.lr=1e-5"),
    "dead_units": ("task.standardize=false", "init=constant", "init.value=-0.05"),
    "saturated_activation": ("activation=tanh", "init=uniform_large"),
    "saturated_gate": ("model=lstm", "model.hidden=8", "model.forget_bias=15"),
    "symmetric_units": ("init=constant", "init.value=0.1", "activation=tanh"),
    "drifting_statistics": ("task.standardize=false", "norm=batchnorm", "norm.momentum=1e-4"),
    "loss_plateau": ("init=zeros",),
    "lr_too_high": ("optimizer.lr=1",),
    "lr_too_low": ("optimizer.lr=1e-6",),
    "overfitting": ("task.label_noise=0.5", "optimizer.lr=1e-2"),
    "underfitting": ("model.hidden=[1]", "optimizer.lr=1e-2"),
    "nonfinite": ("optimizer=minibatch_gd", "optimizer.lr=1e6"),
}

SOUND = {
    "adam": (),
    "momentum, tanh": ("optimizer=momentum", "optimizer.lr=0.03", "activation=tanh"),
    "batchnorm, two layers": ("norm=batchnorm", "model.hidden=[64,64]"),
    "layernorm, elu": ("norm=layernorm", "activation=elu", "optimizer=adamw"),
    "one sigmoid layer": ("activation=sigmoid", "optimizer=rmsprop", "optimizer.lr=3e-3"),
    "deep with he_normal": (DEEP, "trainer.epochs=20"),
    "clipped": ("regularizer=clip", "optimizer=momentum", "optimizer.lr=0.03"),
    "diagnostics off": ("diagnostics.every=0", "diagnostics.flow_every=0"),
}


def judged(overrides):
    task = "sequential_digits" if "model=lstm" in overrides else "digits"
    common = DIGITS if task == "digits" else ("trainer.epochs=3", "diagnostics.flow_every=40")
    (part,) = parts((*common, *overrides), ((),), task)
    judge = Judge([part])
    torch.manual_seed(0)
    (ended,) = StackTraining([part], Sequential([part.run()])).fit(judge)
    return {verdict.name: verdict for verdict in judge.verdicts(0, ended.outcome)}


def test_there_is_a_network_for_every_rule():
    assert {*FAULTY} == {*RULES}


@pytest.mark.parametrize("name", FAULTY)
def test_a_network_with_a_fault_gets_its_verdict(name):
    assert name in judged(FAULTY[name])


@pytest.mark.parametrize("overrides", SOUND.values(), ids=SOUND)
def test_a_sound_network_gets_none(overrides):
    assert judged(overrides) == {}


def test_a_gradient_that_vanishes_at_first_is_told_however_often_it_is_looked_at():
    watched = (*FAULTY["vanishing_gradient"], "diagnostics.flow_every=5", "optimizer.lr=3e-3")
    assert "vanishing_gradient" in judged(watched)


def test_dead_units_are_counted_where_that_is_wanted():
    counted = (*FAULTY["dead_units"], "diagnostics.dead_units=true")
    assert "100% of the units" in judged(counted)["dead_units"].sentence


def test_facts_are_those_of_the_run():
    overrides = ("optimizer.lr=0.25", "regularizer.clip_norm=2", "trainer.patience=2", DEEP)
    (part,) = parts((*DIGITS, *overrides), ((),), "digits")
    facts = facts_of(part, Outcome(status="diverged", cause="why", updates=7), 2.5)
    assert (facts.lr, facts.clip_norm, facts.clip_value) == (0.25, 2.0, None)
    assert (facts.diverged, facts.updates, facts.chance_loss) == ("why", 7, 2.5)
    assert facts.restores_best
    assert facts.layers == (*(f"hidden.{i}.linear" for i in range(8)), "output")
    assert "hidden.0.activation" in facts.rectified
    assert facts.sizes["output.bias"] == 10


@pytest.mark.parametrize(("activation", "is_rectified"), [("relu", True), ("leaky_relu", False)])
def test_a_rectifier_is_known_by_its_slopes(activation, is_rectified):
    (part,) = parts((f"activation={activation}",), ((),), "digits")
    facts = facts_of(part, Outcome(), None)
    assert bool(facts.rectified) == is_rectified


@pytest.mark.parametrize(
    ("task", "overrides", "loss"),
    [
        ("digits", (), 2.302585),
        ("xor", (), 0.693147),
        ("sequential_digits", ("model=lstm",), 2.302585),
        ("echo", ("model=lstm",), 1.386294),
    ],
)
def test_knowing_nothing_costs_the_loss_of_equal_scores(task, overrides, loss):
    (part,) = parts(overrides, ((),), task)
    assert chance_loss(part) == pytest.approx(loss, abs=1e-4)


def test_knowing_nothing_means_nothing_on_a_test_function():
    (part,) = parts(("optimizer.lr=1e-4",), ((),), "rosenbrock")
    assert chance_loss(part) is None


def test_a_judge_that_is_loaded_judges_like_the_one_it_was():
    (part,) = parts((*DIGITS, *FAULTY["lr_too_high"]), ((),), "digits")
    judge, other = Judge([part]), Judge([part])
    (ended,) = StackTraining([part], Sequential([part.run()])).fit(judge)
    other.load(judge.state(), [0])
    assert other.verdicts(0, ended.outcome) == judge.verdicts(0, ended.outcome) != []
