"""A run of a stack is recorded, ended and left as if a loop had had it alone."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from optlab.train.stack.epochs import stretches
from optlab.train.stack.loop import StackTraining
from optlab.train.stack.sequential import Sequential
from tests.train.stack.configs import Kept, parts, train_alone

SEEDS = (("seed=0",), ("seed=1",), ("seed=2",))
QUIET = ("diagnostics.every=0", "diagnostics.flow_every=0")

#: By name: overrides of all runs, of each run, and the task.
STACKS = {
    "optimizers": (
        ("diagnostics.every=7", "diagnostics.flow_every=5", "diagnostics.dead_units=true"),
        (("optimizer=adam",), ("optimizer=nag", "seed=1"), ("optimizer=muon",)),
        "digits",
    ),
    "schedules": (
        QUIET,
        (("schedule=cosine",), ("schedule=constant",), ("schedule=wsd",), ("schedule=cosine",)),
        "blobs",
    ),
    "dropout": (("model.dropout=0.3", "diagnostics.every=1"), SEEDS, "blobs"),
    "batchnorm": (("norm=batchnorm",), SEEDS, "blobs"),
    "patience": (
        (*QUIET, "trainer.epochs=12"),
        (
            ("trainer.patience=1", "optimizer.lr=1.0"),
            ("trainer.patience=2", "trainer.min_delta=0.5", "trainer.restore_best=false"),
            ("trainer.patience=3", "optimizer.lr=0.3", "optimizer=nag"),
            ("seed=3",),
        ),
        "blobs",
    ),
    "diverging": (
        (*QUIET, "trainer.epochs=5", "trainer.batch_size=4", "trainer.log_every=5", "loss=mse"),
        (("seed=1",), ("optimizer=minibatch_gd", "optimizer.lr=1e6"), ("seed=2",)),
        "blobs",
    ),
    "diverging_among_looks": (
        ("diagnostics.every=4", "diagnostics.flow_every=3", "trainer.log_every=4", "loss=mse"),
        (("optimizer=minibatch_gd", "optimizer.lr=1e6"), ("seed=1",)),
        "blobs",
    ),
    "rare": ((*QUIET, "trainer.log_every=5", "trainer.eval_every=4"), SEEDS, "blobs"),
    "long_windows": ((*QUIET, "trainer.log_every=100"), SEEDS, "blobs"),
    "every_update": ((*QUIET, "trainer.log_every=1"), SEEDS, "blobs"),
    "replacement": (("trainer.sampler=replacement",), SEEDS, "blobs"),
    "sequential": (("trainer.sampler=sequential", "trainer.batch_size=7"), SEEDS, "blobs"),
    "full": (("trainer.batch_size=full",), SEEDS, "blobs"),
    "roots": (("task.rows=50",), SEEDS, "line"),
    "point": (
        ("trainer.epochs=30", "trainer.batch_size=full"),
        (("optimizer=nag",), ("optimizer=adam",), ("optimizer=minibatch_gd", "optimizer.lr=1e6")),
        "rosenbrock",
    ),
    "lstm": (("model=lstm", "model.hidden=4", "trainer.epochs=2"), SEEDS[:2], "adding"),
    "penalties": (
        (),
        (("regularizer.l2=0.1",), ("regularizer.clip_norm=0.1",), ("regularizer.decay=0.1",)),
        "blobs",
    ),
    "no_epochs": (("trainer.epochs=0",), SEEDS, "blobs"),
}


def stack_of(made):
    return Sequential([part.run() for part in made])


def of_task(name):
    common, each, task = STACKS[name]
    rows = () if task in ("digits", "rosenbrock") else ("task.rows=80",)
    return ("trainer.epochs=4", *rows, *common), each, task


@pytest.mark.parametrize("name", STACKS)
def test_a_run_in_a_stack_equals_the_run_alone_bit_for_bit(name):
    chosen = of_task(name)
    alone = [train_alone(part) for part in parts(*chosen)]
    made, sink = parts(*chosen), Kept()
    ended = StackTraining(made, stack_of(made)).fit(sink)
    for run, (expected, found) in enumerate(zip(alone, ended, strict=True)):
        np.testing.assert_equal(sink.records[run], expected.records)
        outcomes = [asdict(o) | {"train_s": 0} for o in (found.outcome, expected.outcome)]
        np.testing.assert_equal(*outcomes)
        np.testing.assert_equal(found.scores, expected.scores)
        weights = made[run].module.state_dict()
        for key, value in expected.weights.items():
            torch.testing.assert_close(weights[key], value, rtol=0, atol=0, equal_nan=True)


def fit(name, **options):
    made, sink = parts(*of_task(name)), Kept()
    return made, StackTraining(made, stack_of(made), **options), sink


def test_runs_end_each_in_its_own_way():
    _, training, sink = fit("patience")
    outcomes = [ended.outcome for ended in training.fit(sink)]
    assert [outcome.epochs for outcome in outcomes][2:] == [12, 12]
    assert outcomes[0].cause.startswith("no better validation loss since epoch ")
    assert outcomes[1].cause.startswith("no better validation loss by more than 0.5 since epoch ")
    assert outcomes[0].best_epoch < outcomes[0].epochs < 12
    assert outcomes[1].epochs < 12
    _, training, sink = fit("diverging")
    outcomes = [ended.outcome for ended in training.fit(sink)]
    assert [outcome.status for outcome in outcomes] == ["done", "diverged", "done"]
    assert outcomes[1].updates < outcomes[0].updates


def test_what_happens_to_a_run_changes_no_bit_of_its_neighbours():
    common, each, task = of_task("diverging")
    together, alone = Kept(), Kept()
    made = parts(common, each, task)
    StackTraining(made, stack_of(made)).fit(together)
    only = parts(common, each[2:], task)
    StackTraining(only, stack_of(only)).fit(alone)
    np.testing.assert_equal(together.records[2], alone.records[0])
    weights = [part.module.state_dict().values() for part in (made[2], only[0])]
    assert all(map(torch.equal, *weights))


@pytest.mark.parametrize("keeps_best", [False, True])
def test_best_weights_are_kept_where_they_are_asked_for(keeps_best):
    made, training, sink = fit("every_update", keeps_best=keeps_best)
    ended = training.fit(sink)
    assert [e.best_weights is not None for e in ended] == [keeps_best] * 3
    for part, end in zip(made, ended, strict=True):
        if keeps_best:
            part.module.load_state_dict(end.best_weights)
            best = part.objective.evaluate(part.module, part.data.val)
            assert best == end.outcome.best_val


def test_whoever_wants_to_know_is_told_of_all_updates():
    made, training, sink = fit("diverging")
    told = []
    training.fit(sink, told.append)
    assert told[0] % 3 == 0
    # One of three diverges in the first window of five updates.
    assert sum(told) == 5 + 2 * made[0].num_updates


def test_training_time_is_shared_by_those_who_trained(monkeypatch):
    clock = [0.0]
    _, training, sink = fit("diverging")
    advance = training.backend.advance

    def slow(active, rows, factors):
        clock[0] += 6.0 * factors.shape[1]
        return advance(active, rows, factors)

    monkeypatch.setattr("optlab.train.stack.loop.time.perf_counter", lambda: clock[0])
    monkeypatch.setattr(training.backend, "advance", slow)
    times = [end.outcome.train_s for end in training.fit(sink)]
    assert sum(times) == pytest.approx(clock[0])
    assert times[0] == times[2] > times[1] > 0


def test_on_other_devices_a_run_that_diverges_is_seen_at_the_end_of_its_epoch(monkeypatch):
    """A loss that is not finite costs no look before; records and outcome are the same."""
    _, training, sink = fit("diverging")
    expected = training.fit(sink)
    cut = stretches
    monkeypatch.setattr("optlab.train.stack.loop.stretches", lambda *arguments: cut(*arguments[:4]))
    _, training, other = fit("diverging")
    told = []
    found = training.fit(other, told.append)
    assert sum(told) == 3 * 12 + 2 * 12 * 4
    np.testing.assert_equal(other.records, sink.records)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_equal(*(asdict(end.outcome) | {"train_s": 0} for end in (a, b)))


def test_it_is_told_when_a_run_leaves_and_how_it_ended():
    common, each, task = STACKS["diverging"]
    made, happened = parts(common, each, task), []
    backend = Sequential([part.run() for part in made])
    ended = StackTraining(made, backend).fit(
        Kept(),
        lambda run_steps: happened.append("advanced"),
        lambda run, outcome: happened.append((run, outcome)),
    )
    told = [each for each in happened if each != "advanced"]
    assert [run for run, _ in told] == [1, 0, 2]
    assert all(outcome is ended[run].outcome for run, outcome in told)
    first = happened.index(told[0])
    assert "advanced" in happened[first:]  # the others were still training
