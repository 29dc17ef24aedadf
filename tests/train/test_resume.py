"""A training that goes on from a kept state ends as one that never stopped: bit for bit."""

import dataclasses
import io
from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch import nn

from optlab import registry
from optlab.train.alone import backend_alone
from optlab.train.checkpoint import NotKept, require_plain
from optlab.train.keeper import state_from
from optlab.train.native import Native
from optlab.train.stack.loop import StackTraining
from optlab.train.stack.sequential import Sequential
from optlab.train.stack.vmapped import Vmapped
from tests.train.stack.configs import Kept, parts

#: 48 rows in 5 batches of which the last is short, with all that changes while a network trains.
NETWORK = (
    *("task.rows=80", "trainer.batch_size=10", "trainer.epochs=3", "trainer.log_every=3"),
    *("model.hidden=[8,8]", "model.dropout=0.3", "norm=batchnorm"),
    *("diagnostics.every=4", "diagnostics.flow_every=4", "diagnostics.dead_units=true"),
    "diagnostics.histograms_every=3",
    *("schedule=cosine", "trainer.patience=3", "regularizer.clip_norm=1"),
)
OPTIMIZERS = sorted({*registry.optimizers} - {"foreign"})
FOREIGN = ("Adam", "Adadelta", "LBFGS", "Rprop", "ASGD")


@pytest.fixture(autouse=True)
def one_update_at_a_time(monkeypatch):
    """Let every update be followed by a chance to keep the state."""
    monkeypatch.setattr("optlab.train.stack.loop.PIECE_S", 0.0)


class Enough(Exception):
    """The process ends here."""


class After:
    """Keeps the state at some update as a file would, and ends the training there."""

    def __init__(self, update):
        self.update, self.content = update, None

    def is_due(self):
        """Look at every chance."""
        return True

    def keep(self, state):
        """Keep the first state that is late enough."""
        if state.updates < self.update:
            return
        content = {"updates": state.updates, "state": {"runs": state.runs, "random": state.random}}
        require_plain(content)
        file = io.BytesIO()
        torch.save(content, file)
        file.seek(0)
        self.content = torch.load(file, weights_only=True)
        raise Enough


ONE = (("seed=0",),)


def made(overrides, each=ONE, *, task="blobs", network=NETWORK, change=lambda run: run):
    """Return the parts of runs that share ``overrides``."""
    return [change(run) for run in parts((*network, *overrides), tuple(each), task)]


def alone(runs):
    return backend_alone(runs[0])


def trained(runs, backend, sink, **options):
    """Train and return how runs ended, without times, and their weights."""
    torch.manual_seed(3)
    ended = StackTraining(runs, backend(runs)).fit(sink, numbers=sink.take, **options)
    outcomes = [asdict(end.outcome) | {"train_s": 0.0, "scores": end.scores} for end in ended]
    return outcomes, [run.module.state_dict() for run in runs]


def assert_goes_on(overrides, update, backend=alone, each=ONE, **chosen):
    """Stop after some updates, go on with new objects, and compare with what never stopped."""

    def runs():
        return made(overrides, each, **chosen)

    whole, cut, after = Kept(), Kept(), After(update)
    expected, weights = trained(runs(), backend, whole)
    with pytest.raises(Enough):
        trained(runs(), backend, cut, checkpointer=after)
    found, found_weights = trained(runs(), backend, cut, since=state_from(after.content))
    np.testing.assert_equal(cut.records, whole.records)
    np.testing.assert_equal(cut.histograms, whole.histograms)
    np.testing.assert_equal(found, expected)
    for own, other in zip(found_weights, weights, strict=True):
        assert own.keys() == other.keys()
        assert all(torch.equal(own[name], other[name]) for name in other)


@pytest.mark.parametrize("engine", ["native", "functional", "plain"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_goes_on_from_the_midst_of_an_epoch(optimizer, engine):
    own = [] if optimizer in ("sgd", "batch_gd") else ["trainer.batch_size=10"]
    assert_goes_on((f"optimizer={optimizer}", f"trainer.engine={engine}", *own), 7)


@pytest.mark.parametrize("kind", FOREIGN)
def test_optimizers_of_others_go_on_too(kind):
    assert_goes_on(("optimizer=foreign", f"optimizer.target=torch.optim.{kind}"), 7)


@pytest.mark.parametrize("update", [0, 1, 5, 6, 14])
def test_it_goes_on_from_any_update(update):
    assert_goes_on(("optimizer=adam",), update)


def native(runs):
    return Native(runs)


def sequential(runs):
    return Sequential([run.run() for run in runs])


def vmapped(runs):
    return Vmapped(runs, is_compiled=False)


#: Of three runs the second diverges at once, and the third stops early.
THREE = (
    ("seed=0",),
    ("seed=1", "optimizer=momentum", "optimizer.lr=1e30"),
    ("seed=2", "optimizer.lr=0.0", "trainer.patience=1"),
)


@pytest.mark.parametrize("update", [0, 4, 11])
@pytest.mark.parametrize("backend", [native, sequential, vmapped])
def test_a_stack_goes_on_with_those_that_diverged_or_stopped(backend, update):
    assert_goes_on((), update, backend, THREE)


def test_a_part_of_a_stack_goes_on_alone():
    """The other runs may have been recorded, or be another process's."""
    expected, _ = trained(made(()), native, Kept())
    after, runs = After(7), [("seed=2",), ("seed=0",), ("seed=1",)]
    with pytest.raises(Enough):
        trained(made((), runs), native, Kept(), checkpointer=after)
    found, _ = trained(made(()), native, Kept(), since=state_from(after.content).of([1]))
    np.testing.assert_equal(found, expected)


MODELS = {
    "lstm": (("model=lstm", "model.hidden=6", "model.layers=2", "model.dropout=0.2"), "recall"),
    "rnn": (("model=rnn", "model.hidden=6"), "echo"),
    "cnn": (("model=small_cnn", "model.channels=[2,2]", "norm=batchnorm"), "digits"),
}
SHORT = ("trainer.batch_size=16", "trainer.epochs=2", "diagnostics.flow_every=3")


@pytest.mark.parametrize("model", MODELS)
def test_other_networks_go_on(model):
    chosen, task = MODELS[model]
    rows = () if task == "digits" else ("task.rows=80",)
    assert_goes_on((*chosen, *rows, *SHORT), 4, task=task, network=())


class Drawing(nn.Module):
    """A model of others, which draws from torch's global generator while it trains."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5), nn.Linear(4, 3))

    def forward(self, x):
        """Score rows."""
        return self.layers(x)


def test_draws_from_the_global_generator_go_on():
    def change(run):
        torch.manual_seed(5)
        return dataclasses.replace(run, module=Drawing(), structure="drawing")

    assert_goes_on((), 7, sequential, change=change)


def test_nothing_is_kept_of_a_state_that_cannot_be_read_back():
    with pytest.raises(NotKept, match=r"state\.group\[1\] is a builtins\.set"):
        require_plain({"state": {"group": [1.0, {2}]}})
