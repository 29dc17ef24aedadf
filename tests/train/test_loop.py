"""The loop: when it evaluates and records, where, and what it leaves in the module."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from optlab import registry
from optlab.config.schema import DiagnosticsConfig, TrainerConfig
from optlab.models import Point
from optlab.nn import Dropout
from optlab.nn.losses import Objective as FunctionLoss
from optlab.optim.regularizers import Regularizer
from optlab.tasks.base import Data, Split
from optlab.train import FunctionalRun, Objective, PlainRun, Sampler, Training

START = 1.0


def half_square(point):
    return 0.5 * (point * point).sum(-1)


def training(optimizer="sgd", lr=0.1, schedule=lambda update, total: 1.0, every=0, **trainer):
    """Return a training of one point on f = x^2 / 2, whose gradient is the point itself."""
    still = Split(torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64))
    data = Data(still, still, still, objective=half_square)
    rule = registry.optimizers.get(optimizer).rule
    measured = Objective(
        FunctionLoss(function=half_square),
        lambda z, y: {},
        (),
        states=lambda z: {"point/x0": z[0, 0]},
    )
    run = FunctionalRun(
        Point((START,)).double(), measured, still, rule, rule.hyper(lr=lr), Regularizer()
    )
    return Training(
        run,
        data,
        Sampler(1, 1, "shuffle", 0, torch.device("cpu")),
        TrainerConfig(batch_size="full", **{"log_every": 1, **trainer}),
        DiagnosticsConfig(every=every),
        schedule,
    )


def fit(train):
    records = []
    outcome = train.fit(lambda update, epoch, values: records.append((update, dict(values))))
    return outcome, records


def values_of(records, tag):
    return [(update, values[tag]) for update, values in records if tag in values]


def test_validation_comes_first_then_every_so_many_epochs_and_last():
    outcome, records = fit(training(epochs=5, eval_every=2))
    assert [update for update, _ in values_of(records, "loss/val")] == [0, 2, 4, 5]
    assert (outcome.status, outcome.updates, outcome.epochs) == ("done", 5, 5.0)


def test_no_epochs_only_evaluates():
    outcome, records = fit(training(epochs=0))
    assert [update for update, _ in records] == [0]
    assert outcome.updates == 0


def test_training_losses_are_those_before_each_update():
    _, records = fit(training(epochs=3, lr=0.5))
    losses = [value for _, value in values_of(records, "loss/train")]
    assert losses == [0.5, 0.125, 0.03125]


def test_a_record_spans_log_every_updates_and_the_rest_comes_at_the_end():
    _, records = fit(training(epochs=5, lr=0.5, log_every=3))
    losses = values_of(records, "loss/train")
    assert [update for update, _ in losses] == [3, 5]
    assert losses[0][1] == pytest.approx((0.5 + 0.125 + 0.03125) / 3)


def test_the_schedule_sets_and_records_the_learning_rate():
    half = training(epochs=3, lr=0.4, schedule=lambda update, total: 1 - update / total)
    _, records = fit(half)
    rates = [value for _, value in values_of(records, "lr")]
    assert rates == pytest.approx([0.4, 0.4 * 2 / 3, 0.4 / 3])
    x = START
    for rate in rates:
        x -= rate * x
    assert half.run.module.point.item() == pytest.approx(x, rel=1e-12)


def test_nag_is_evaluated_and_left_at_its_iterate():
    """OPT-20: w = w - v with v = 0.9 v + lr * gradient at w - 0.9 v, done by hand."""
    nag = training("nag", epochs=4)
    _, records = fit(nag)
    w, v, expected = START, 0.0, [0.5 * START**2]
    for _ in range(4):
        v = 0.9 * v + 0.1 * (w - 0.9 * v)
        w -= v
        expected.append(0.5 * w * w)
    assert [x for _, x in values_of(records, "loss/val")] == pytest.approx(expected, rel=1e-12)
    assert nag.run.module.point.item() == pytest.approx(w, rel=1e-12)


@pytest.mark.parametrize("log_every", [1, 7, 10_000])
def test_divergence_is_found_at_its_update_whenever_records_are_made(log_every):
    # |x| grows by 1e9 an update: x^2 overflows float64 (1.8e308) at x = 1e162, after 18 updates.
    outcome, records = fit(training(lr=1e9, epochs=40, eval_every=40, log_every=log_every))
    # It goes on until the record is made; what was made counts.
    made = {1: 19, 7: 21, 10_000: 40}[log_every]
    assert (outcome.status, outcome.updates, outcome.epochs) == ("diverged", made, float(made))
    assert [update for update, _ in records] == sorted(update for update, _ in records)
    assert records[-1][0] <= outcome.updates
    assert outcome.cause == "the training loss became inf at update 19"
    assert not math.isfinite(values_of(records, "loss/train")[-1][1])


def test_a_validation_loss_that_is_not_finite_ends_the_training_too():
    outcome, _ = fit(training(lr=1e200, epochs=3, eval_every=1))
    assert outcome.status == "diverged"
    assert outcome.cause == "the validation loss became inf at update 1"


def test_early_stopping_restores_the_best_point():
    # From the sixth epoch on the schedule's rate, 2.5, makes the point climb.
    climbing = training(
        epochs=20, schedule=lambda update, total: 1.0 if update < 5 else 25.0, patience=2
    )
    outcome, records = fit(climbing)
    losses = [value for _, value in values_of(records, "loss/val")]
    assert outcome.best_epoch == 5.0
    assert outcome.epochs == 7.0
    assert 0.5 * climbing.run.module.point.item() ** 2 == pytest.approx(min(losses), rel=1e-12)


def test_patience_that_runs_out_with_the_last_epoch_stops_nothing():
    def climbing(epochs):
        return training(
            epochs=epochs, schedule=lambda update, total: 1.0 if update < 5 else 25.0, patience=2
        )

    assert fit(climbing(7))[0].cause is None
    assert fit(climbing(8))[0].cause == "no better validation loss since epoch 5"


def test_min_delta_ends_the_waiting_but_leaves_the_best_where_it_is():
    # Each loss is 0.81 of the one before: an improvement, but not by 0.5.
    slow = training(epochs=10, patience=4, min_delta=0.5, eval_every=2)
    outcome, records = fit(slow)
    losses = [value for _, value in values_of(records, "loss/val")]
    assert outcome.cause == "no better validation loss by more than 0.5 since epoch 0"
    assert (outcome.epochs, outcome.best_epoch) == (8.0, 8.0)
    assert outcome.best_val["loss"] == min(losses) == losses[-1]
    assert 0.5 * slow.run.module.point.item() ** 2 == pytest.approx(min(losses), rel=1e-12)


def test_an_epoch_cut_short_counts_for_its_part():
    train = on_rows(lr=1e200, epochs=3, batch_size=2, log_every=1)
    outcome, _ = fit(train)
    assert outcome.status == "diverged"
    assert 0 < outcome.updates < train.num_updates
    assert outcome.epochs == outcome.updates / 5


@pytest.mark.parametrize("optimizer", ["sgd", "nag"])
def test_a_trajectory_has_one_row_per_update_and_it_is_the_iterate(optimizer):
    train = training(optimizer, epochs=4, lr=0.3)
    _, records = fit(train)
    xs = values_of(records, "point/x0")
    assert [update for update, _ in xs] == [0, 1, 2, 3, 4]
    losses = [loss for _, loss in values_of(records, "loss/val")]
    assert [0.5 * x * x for _, x in xs] == pytest.approx(losses, rel=1e-15)
    assert xs[-1][1] == train.run.module.point.item()


def test_weight_norms_are_of_the_iterate_and_gradient_norms_of_where_it_was_taken():
    """NAG: v = 0.9 v + 0.1 g, w = w - v, and g, the point itself, is taken at w - 0.9 v."""
    _, records = fit(training("nag", epochs=4, every=1))
    w, v, weights, gradients = START, 0.0, [], []
    for _ in range(4):
        ahead = w - 0.9 * v
        v = 0.9 * v + 0.1 * ahead
        w -= v
        weights.append(abs(w))
        gradients.append(abs(ahead))
    measured = [values for _, values in records if "weight_norm/point" in values]
    assert [m["weight_norm/point"] for m in measured] == pytest.approx(weights, rel=1e-12)
    assert [m["gradient_norm/point"] for m in measured] == pytest.approx(gradients, rel=1e-12)


class Watched(nn.Module):
    """A line with dropout that notes its mode and its rows' numbers (the inputs) at each call."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 1))
        self.dropout = Dropout(0.5)
        self.seen = []

    def forward(self, x):
        self.seen.append((self.training, self.dropout.training, x[:, 0].int().tolist()))
        return self.dropout(x @ self.weight)


def on_rows(engine="functional", lr=0.0, **trainer):
    """Return a training on rows numbered 0-9, validated on 10-12; the test's targets are NaN."""

    def split(first, last, target=1.0):
        x = torch.arange(first, last, dtype=torch.float32)[:, None]
        return Split(x, torch.full_like(x, target))

    data = Data(split(0, 10), split(10, 13), split(20, 22, math.nan))
    objective = Objective(lambda z, y: (z - y).square().mean(), lambda z, y: {}, ())
    entry, module = registry.optimizers.get("sgd"), Watched()
    if engine == "functional":
        hyper = entry.rule.hyper(lr=lr)
        run = FunctionalRun(module, objective, data.train, entry.rule, hyper, Regularizer())
    else:
        optimizer = entry(module.parameters(), lr=lr)
        run = PlainRun(module, objective, data.train, optimizer, Regularizer())
    config = TrainerConfig(**{"batch_size": 10, **trainer})
    sampler = Sampler(10, config.batch_size, "shuffle", 0, torch.device("cpu"))
    return Training(run, data, sampler, config, DiagnosticsConfig(), lambda update, total: 1.0)


@pytest.mark.parametrize("engine", ["functional", "plain"])
def test_updates_see_training_rows_in_training_mode_and_evaluations_the_others(engine):
    train = on_rows(engine, epochs=2)
    train.run.module.eval()
    fit(train)
    validation = (False, False, [10, 11, 12])
    update = (True, True, list(range(10)))
    assert train.run.module.seen == [validation, update, validation, update, validation]


def test_validation_and_patience_never_see_the_test_split():
    train = on_rows(epochs=6, patience=2)
    outcome, records = fit(train)
    assert outcome.status == "done"
    # lr = 0: nothing improves on the first evaluation.
    assert outcome.cause == "no better validation loss since epoch 0"
    assert [value for _, value in values_of(records, "loss/val")] == [1.0, 1.0, 1.0]
    assert {row for *_, rows in train.run.module.seen for row in rows} == set(range(13))


def test_every_epoch_has_its_own_order_by_its_number():
    train = on_rows(epochs=3, batch_size=4, eval_every=3)
    fit(train)
    seen = [row for training, _, rows in train.run.module.seen if training for row in rows]
    epochs = [seen[:10], seen[10:20], seen[20:]]
    for number, epoch in enumerate(epochs):
        assert epoch == torch.cat(list(train.sampler.epoch(number))).tolist()
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_training_clock_waits_for_the_device_once_an_epoch(monkeypatch):
    """Of a CUDA device that is not there; the whole batch needs no row numbers on it."""
    clock, waits = [0.0], []

    def synchronize(device):
        waits.append(device)
        clock[0] += 1.0

    monkeypatch.setattr("optlab.train.loop.time.perf_counter", lambda: clock[0])
    monkeypatch.setattr("torch.cuda.synchronize", synchronize)
    device = torch.device("cuda")
    train = replace(training(epochs=3, log_every=100), sampler=Sampler(1, 1, "shuffle", 0, device))
    outcome, _ = fit(train)
    assert outcome.train_s == 3.0
    assert set(waits) == {device}
    cpu = training(epochs=3)
    assert fit(cpu)[0].train_s == 0.0


def test_work_that_a_record_waits_for_is_on_the_training_clock(monkeypatch):
    clock = [0.0]

    def synchronize(device):
        clock[0] += 1.0

    monkeypatch.setattr("optlab.train.loop.time.perf_counter", lambda: clock[0])
    monkeypatch.setattr("torch.cuda.synchronize", synchronize)
    sampler = Sampler(1, 1, "shuffle", 0, torch.device("cuda"))
    outcome, _ = fit(replace(training(epochs=3, log_every=1, every=1), sampler=sampler))
    # Per epoch: before the norms, before the record and at the end.
    assert outcome.train_s == 9.0


def test_records_are_off_the_training_clock(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("optlab.train.loop.time.perf_counter", lambda: clock[0])

    def emit(update, epoch, values):
        clock[0] += 100.0

    assert training(epochs=3).fit(emit).train_s == 0.0
    assert clock[0] > 0.0
