"""The loop: when it evaluates and records, where, and what it leaves in the module."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from optlab import registry
from optlab.config.schema import DiagnosticsConfig, TrainerConfig
from optlab.diagnostics import gradient_flow
from optlab.models import Point
from optlab.models.mlp import MLP
from optlab.nn import BatchNorm1d, Dropout, Linear
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
    ended = train.fit(lambda update, epoch, values: records.append((update, dict(values))))
    return ended.outcome, records


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
    outcome, _ = fit(training(lr=1e38, epochs=8, eval_every=1))
    assert outcome.status == "diverged"
    assert outcome.cause == "the validation loss became inf at update 5"


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
    train = on_rows(lr=1e38, epochs=3, batch_size=2, log_every=1)
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
    quiet = DiagnosticsConfig(flow_every=0)
    return Training(run, data, sampler, config, quiet, lambda update, total: 1.0)


@pytest.mark.parametrize("engine", ["functional", "plain"])
def test_updates_see_training_rows_in_training_mode_and_evaluations_the_others(engine):
    train = on_rows(engine, epochs=2)
    train.run.module.eval()
    fit(train)
    validation = (False, False, [10, 11, 12])
    update = (True, True, list(range(10)))
    ended = [(False, False, rows) for rows in (list(range(10)), [10, 11, 12], [20, 21])]
    seen = [(*modes, sorted(rows)) for *modes, rows in train.run.module.seen]
    assert seen == [validation, update, validation, update, validation, *ended]


def test_the_test_split_is_seen_once_when_all_is_over():
    train = on_rows(epochs=6, patience=2)
    outcome, records = fit(train)
    assert outcome.status == "done"
    # lr = 0: nothing improves on the first evaluation.
    assert outcome.cause == "no better validation loss since epoch 0"
    assert [value for _, value in values_of(records, "loss/val")] == [1.0, 1.0, 1.0]
    seen = [row for *_, rows in train.run.module.seen for row in rows]
    assert seen[-2:] == [20, 21]
    assert set(seen[:-2]) == set(range(13))


def test_every_epoch_has_its_own_order_by_its_number():
    train = on_rows(epochs=3, batch_size=4, eval_every=3)
    fit(train)
    seen = [row for training, _, rows in train.run.module.seen if training for row in rows]
    epochs = [seen[:10], seen[10:20], seen[20:]]
    for number, epoch in enumerate(epochs):
        assert epoch == torch.cat(list(train.sampler.epoch(number))).tolist()
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_update_ratios_are_of_the_iterate_before_and_after():
    """NAG, as above: the point that is updated is w - 0.9 v, and the one that is measured w."""
    _, records = fit(training("nag", epochs=4, every=2))
    w, v, ratios = START, 0.0, []
    for _ in range(4):
        before, v = w, 0.9 * v + 0.1 * (w - 0.9 * v)
        w -= v
        ratios.append(abs(w - before) / abs(before))
    measured = values_of(records, "update_ratio/point")
    assert measured == [(2, pytest.approx(ratios[1])), (4, pytest.approx(ratios[3]))]


def test_update_ratios_can_be_left_out():
    train = training(epochs=2, every=1)
    quiet = replace(train, diagnostics=DiagnosticsConfig(every=1, update_ratios=False))
    _, records = fit(quiet)
    assert values_of(records, "update_ratio/point") == []
    assert len(values_of(records, "weight_norm/point")) == 2


def network_on_rows(optimizer, **diagnostics):
    """Return a training of a network with all that changes in a pass: 12 updates on 40 rows.

    Args:
        optimizer: Name of a rule, for the functional engine, or ``"plain NAME"``, or a class of
            torch, which is foreign.
        diagnostics: Options of `DiagnosticsConfig`.
    """
    stream = torch.Generator().manual_seed(0)
    data = Split(torch.randn(40, 3, generator=stream), torch.randn(40, 1, generator=stream))
    torch.manual_seed(0)
    module = nn.Sequential(
        MLP(3, [8, 8], 1, norm=BatchNorm1d, dropout=0.3), nn.Dropout(0.2), Linear(1, 1)
    )
    objective = Objective(lambda z, y: (z - y).square().mean(), lambda z, y: {}, ())
    kind, _, name = optimizer.rpartition(" ")
    if kind == "foreign":
        own = getattr(torch.optim, name)(module.parameters(), lr=0.01)
        run = PlainRun(module, objective, data, own, Regularizer())
    elif kind == "plain":
        own = registry.optimizers.get(name)(module.parameters(), lr=0.01)
        run = PlainRun(module, objective, data, own, Regularizer())
    else:
        rule = registry.optimizers.get(name).rule
        run = FunctionalRun(module, objective, data, rule, rule.hyper(lr=0.01), Regularizer())
    return Training(
        run,
        Data(data, data, data),
        Sampler(40, 10, "shuffle", 0, torch.device("cpu")),
        TrainerConfig(batch_size=10, epochs=3, log_every=1),
        DiagnosticsConfig(**diagnostics),
        lambda update, total: 1.0,
    )


ALL = {"every": 1, "flow_every": 2, "dead_units": True}
NONE = {"every": 0, "flow_every": 0, "dead_units": False}


@pytest.mark.parametrize(
    "optimizer",
    ["adam", "nag", "muon", "plain schedule_free_adamw", "foreign Adagrad", "foreign LBFGS"],
)
def test_measuring_changes_no_bit_of_a_run(optimizer):
    measured, alone = (network_on_rows(optimizer, **chosen) for chosen in (ALL, NONE))
    records, draws = [], []
    for train in (measured, alone):
        torch.manual_seed(7)
        records.append(fit(train)[1])
        draws.append(torch.rand(1))
    state, expected = (train.run.module.state_dict() for train in (measured, alone))
    assert all(torch.equal(state[name], value) for name, value in expected.items())
    for tag in ("loss/train", "loss/val"):
        assert values_of(records[0], tag) == values_of(records[1], tag)
    assert len(records[0]) > 2 * len(records[1])
    assert torch.equal(*draws)


def test_flow_is_measured_before_the_first_update_and_every_so_many():
    _, records = fit(network_on_rows("adam", **NONE | {"flow_every": 5}))
    found = values_of(records, "preactivation_gradient/0.hidden.0.linear")
    assert [update for update, _ in found] == [0, 5, 10]
    assert [update for update, _ in records] == sorted(update for update, _ in records)
    assert all(0 < norm < math.inf for _, norm in found)
    # What moved since the look before; the first has none.
    moved = values_of(records, "drift/0.hidden.0.activation")
    assert [update for update, _ in moved] == [5, 10]
    assert all(change > 0 for _, change in moved)


def test_flow_is_of_the_weights_that_the_coming_update_starts_from():
    train = network_on_rows("sgd", **NONE | {"flow_every": 12})
    rows, split = torch.arange(32) * 40 // 32, train.data.train
    torch.manual_seed(7)
    expected = gradient_flow(
        train.run.module, train.run.objective.loss, split.x[rows], split.y[rows]
    )
    torch.manual_seed(7)
    _, records = fit(train)
    measured = [values for _, values in records if "nonfinite" in values]
    assert measured == [expected]


def test_dead_units_are_those_of_the_training_rows_at_each_evaluation():
    train = network_on_rows("sgd", **{"every": 0, "flow_every": 0, "dead_units": True})
    first = train.run.module[0].hidden[0]
    with torch.no_grad():
        first.norm.bias[:2] = -100.0
    _, records = fit(train)
    found = values_of(records, "dead/0.hidden.0.activation")
    assert found == [(update, 0.25) for update in (0, 4, 8, 12)]
    assert not any("preactivation_gradient" in tag for _, values in records for tag in values)


def test_measuring_is_off_the_training_clock(monkeypatch):
    clock = [0.0]

    def slow(*_, **__):
        clock[0] += 100.0
        return {}

    monkeypatch.setattr("optlab.train.stack.loop.time.perf_counter", lambda: clock[0])
    for name in ("gradient_flow", "dead_units"):
        monkeypatch.setattr(f"optlab.train.measurements.{name}", slow)
    monkeypatch.setattr("optlab.train.stack.norms.StackNorms.before", slow)
    monkeypatch.setattr("optlab.train.stack.norms.StackNorms.after", slow)
    outcome, _ = fit(network_on_rows("sgd", **ALL))
    assert outcome.train_s == 0.0
    # 6 looks, 4 evaluations, and norms before and after each of 12 updates.
    assert clock[0] == 100.0 * (6 + 4 + 12 * 2)


def test_records_are_off_the_training_clock(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("optlab.train.stack.loop.time.perf_counter", lambda: clock[0])

    def emit(update, epoch, values):
        clock[0] += 100.0

    assert training(epochs=3).fit(emit).outcome.train_s == 0.0
    assert clock[0] > 0.0
