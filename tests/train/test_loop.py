"""The loop: when it evaluates and records, where, and what it leaves in the module."""

import math

import pytest
import torch

from optlab import registry
from optlab.config.schema import DiagnosticsConfig, TrainerConfig
from optlab.models import Point
from optlab.nn.losses import Objective as FunctionLoss
from optlab.optim.regularizers import Regularizer
from optlab.tasks.base import Data, Split
from optlab.train import FunctionalRun, Objective, Sampler, Training

START = 1.0


def half_square(point):
    return 0.5 * (point * point).sum(-1)


def training(optimizer="sgd", lr=0.1, schedule=lambda update, total: 1.0, **trainer):
    """Return a training of one point on f = x^2 / 2, whose gradient is the point itself."""
    still = Split(torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64))
    data = Data(still, still, still, objective=half_square)
    rule = registry.optimizers.get(optimizer).rule
    measured = Objective(
        FunctionLoss(function=half_square), lambda z, y: {"point/x0": z[0, 0]}, ("point/x0",)
    )
    run = FunctionalRun(
        Point((START,)).double(), measured, still, rule, rule.hyper(lr=lr), Regularizer()
    )
    return Training(
        run,
        data,
        Sampler(1, 1, "shuffle", 0, torch.device("cpu")),
        TrainerConfig(batch_size="full", **{"log_every": 1, **trainer}),
        DiagnosticsConfig(every=0),
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
    assert (outcome.status, outcome.updates) == ("diverged", 19)
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


def test_records_are_off_the_training_clock(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("optlab.train.loop.time.perf_counter", lambda: clock[0])

    def emit(update, epoch, values):
        clock[0] += 100.0

    assert training(epochs=3).fit(emit).train_s == 0.0
    assert clock[0] > 0.0
