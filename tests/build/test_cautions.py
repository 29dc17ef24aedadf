"""Valid configurations that are probably mistakes are said, each once, and no other is."""

from typing import Any

import pytest

from optlab.build import Built, cautions, parts_of
from optlab.cli import main
from tests.sweep.composing import configuration

#: What is typed beside 48 training rows in 12 updates, and the beginning of what is said.
CASES = {
    "trainer.batch_size=100": "trainer.batch_size=100 is more than the 48 training rows",
    "optimizer=sgd trainer.batch_size=16": "optimizer=sgd is gradient descent on one row at a time",
    "optimizer=batch_gd trainer.batch_size=9": "optimizer=batch_gd is gradient descent on all rows",
    "trainer.log_every=13": "trainer.log_every=13 is more than the 12 updates",
    "diagnostics.every=13": "diagnostics.every=13 is more than the 12 updates",
    "diagnostics.flow_every=13": "diagnostics.flow_every=13 is more than the 12 updates",
    "transform.lookahead_steps=13": "transform.lookahead_steps=13 is more than the 12 updates",
    "optimizer=schedule_free_sgd optimizer.warmup_steps=13": "optimizer.warmup_steps=13",
    "trainer.min_delta=0.1": "trainer.min_delta=0.1 does nothing without trainer.patience",
    "trainer.restore_best=false": "trainer.restore_best=false does nothing without",
    "trainer.patience=3 trainer.eval_every=2": "trainer.patience=3 cannot stop this run",
    "optimizer.lr=0": "optimizer.lr=0 leaves all weights where they begin",
    "loss=perceptron task.centers=2": "loss=perceptron with optimizer=adam is not the perceptron's",
    "optimizer=schedule_free_sgd schedule=cosine": "optimizer=schedule_free_sgd averages",
    "activation=softmax": "activation=softmax stands between layers",
    "activation=step": "activation=step has the derivative 0",
    "init=zeros": "init=zeros makes all units of a hidden layer alike",
    "init=constant": "init=constant makes all units of a hidden layer alike",
    "model.hidden=[] model.dropout=0.5": "model.dropout=0.5 does nothing",
    "model.norm_position=post": "model.norm_position=post does nothing without a norm",
    "diagnostics.histograms_every=4 logger.tensorboard=false": "diagnostics.histograms_every=4",
    "trainer.threads=1024": "trainer.threads=1024 is more than the",
}

#: Neighbours of these that mean something.
SOUND = [
    "trainer.batch_size=48",
    "trainer.batch_size=full",
    "optimizer=sgd",
    "optimizer=minibatch_gd trainer.batch_size=9",
    "trainer.log_every=12 diagnostics.every=12 transform.lookahead_steps=12",
    "trainer.patience=2 trainer.eval_every=2 trainer.min_delta=0.1 trainer.restore_best=false",
    "trainer.epochs=0",
    "optimizer=sgd loss=perceptron task.centers=2",
    "optimizer=schedule_free_sgd",
    "init=zeros model=linear",
    "init=zeros model.dropout=0.5",  # it tells units apart
    "init=zeros model.hidden=[]",
    "init=identity",
    "model.norm_position=post norm=batchnorm",
    "logger=none",
]


def said(words: str) -> list[str]:
    config: dict[str, Any] = configuration(*words.split())
    return cautions(config, Built.of(parts_of(config)))


@pytest.mark.parametrize("words", CASES)
def test_a_probable_mistake_is_said_in_one_sentence(words: str) -> None:
    (sentence,) = said(words)
    assert sentence.startswith(CASES[words])


@pytest.mark.parametrize("words", SOUND)
def test_what_means_something_is_not_spoken_of(words: str) -> None:
    assert said(words) == []


def test_sorted_rows_are_for_the_sequential_sampler() -> None:
    config = configuration()
    built = Built.of(parts_of(config))
    config["task"]["sort_by_class"] = True
    (sentence,) = cautions(config, built)
    assert "use trainer.sampler=sequential" in sentence
    config["trainer"]["sampler"] = "sequential"
    assert cautions(config, built) == []


def test_a_train_and_a_sweep_say_it_once_on_standard_error(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    short = ["task=xor", "trainer.epochs=1", "logger=none"]
    assert main(["train", "init=zeros", *short]) == 0
    out, err = capfd.readouterr()
    assert err.count("stay alike") == 1
    assert "stay alike" not in out
    assert main(["sweep", "init=zeros,he_normal", "seed=0,1", *short, "sweep.engine=single"]) == 0
    out, err = capfd.readouterr()
    assert err.count("[optlab] 2 of 4 runs: init=zeros") == 1
    assert "stay alike" not in out
