import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optlab.config.schema import LoggerConfig
from optlab.loggers.sweep_records import LoggedRun, SweepRecords
from optlab.records import RunRecord
from optlab.report.evidence import Evidence
from optlab.report.measures.curves import Band, band, best_curves, best_losses
from optlab.report.measures.effort import Unit
from optlab.report.ranking import rank

MakeRun = Callable[..., RunRecord]


def curve(records: list[RunRecord], tag: str, unit: Unit = "epochs", most: int = 200) -> Band:
    found = band(records, tag, Evidence(records, rank(records)).rows(tag), unit, most)
    assert found is not None
    return found


def accuracy_band(records: list[RunRecord]) -> Band:
    return curve(records, "accuracy/val")


def told(record: RunRecord, **values: Any) -> RunRecord:
    """Return a record whose result says something else."""
    return replace(record, result=replace(record.result, **values))


def test_band_is_mean_and_range_over_seeds(make_run: MakeRun) -> None:
    runs = [
        make_run({"seed": 0}, curves={"accuracy/val": [0.1, 0.5, 0.9], "lr": [1, 1, 1]}),
        make_run({"seed": 1}, curves={"accuracy/val": [0.3, 0.7, 0.7]}),
    ]
    found = accuracy_band(runs)
    np.testing.assert_array_equal(found.x, [0, 1, 2])
    np.testing.assert_allclose(found.mean, [0.2, 0.6, 0.8])
    np.testing.assert_array_equal(found.low, [0.1, 0.5, 0.7])
    np.testing.assert_array_equal(found.high, [0.3, 0.7, 0.9])
    assert found.runs == 2


def test_a_run_that_stopped_early_keeps_its_last_value(make_run: MakeRun) -> None:
    runs = [
        make_run({"seed": 0}, curves={"accuracy/val": [0.0, 0.5, 1.0]}),
        make_run({"seed": 1}, curves={"accuracy/val": [0.0, 0.5]}),
    ]
    np.testing.assert_allclose(accuracy_band(runs).mean, [0.0, 0.5, 0.75])


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_a_run_that_was_lost_has_the_worst_value_from_then_on(
    make_run: MakeRun, status: str
) -> None:
    curves = {"accuracy/val": [0.0, 1.0, 1.0], "loss/val": [2.0, 1.0, 0.5]}
    short = {"accuracy/val": [0.0, 1.0], "loss/val": [2.0, math.nan]}
    runs = [
        make_run({"seed": 0}, curves=curves),
        make_run({"seed": 1}, curves=short, status=status),
    ]
    np.testing.assert_allclose(accuracy_band(runs).mean, [0.0, 1.0, 0.5])
    losses = curve(runs, "loss/val")
    np.testing.assert_array_equal(losses.mean, [2.0, math.inf, math.inf])
    np.testing.assert_array_equal(losses.low, [2.0, 1.0, 0.5])


def test_a_cell_that_lost_all_its_runs_ends_at_the_worst(make_run: MakeRun) -> None:
    # All were lost at update 10, epoch 2, after the records of updates 0 and 5.
    runs = [
        make_run({"seed": seed}, curves={"accuracy/val": [0.1, 0.9]}, status="diverged")
        for seed in (0, 1)
    ]
    curve = accuracy_band(runs)
    assert curve.x.tolist() == [0.0, 1.0, 2.0]
    assert curve.mean.tolist() == [0.1, 0.9, 0.0]


def test_a_run_lost_before_its_first_evaluation_counts_from_the_start(make_run: MakeRun) -> None:
    runs = [
        make_run({"seed": 0}, curves={"accuracy/val": [1.0, 1.0]}),
        make_run({"seed": 1}, status="failed"),
    ]
    np.testing.assert_allclose(accuracy_band(runs).mean, [0.5, 0.5])


def test_interrupted_runs_and_finished_runs_without_a_table_are_left_out(
    make_run: MakeRun,
) -> None:
    runs = [
        make_run({"seed": 0}, curves={"accuracy/val": [0.5, 0.5]}),
        make_run({"seed": 1}, curves={"accuracy/val": [0.0, 0.0]}, status="interrupted"),
        make_run({"seed": 2}),
    ]
    np.testing.assert_allclose(accuracy_band(runs).mean, [0.5, 0.5])


def test_there_is_no_band_where_no_curve_was_kept(make_run: MakeRun) -> None:
    assert band([make_run({"seed": 0})], "accuracy/val", {}) is None


def test_runs_recorded_at_different_places_have_the_latest_value_between(
    make_run: MakeRun,
) -> None:
    runs = [
        told(make_run({"seed": 0}, curves={"loss/train": [4.0, 2.0, 0.0]}), updates=10),
        told(make_run({"seed": 1}, curves={"loss/train": [3.0, 1.0]}), updates=10),
    ]
    # Records at updates 0, 5, 10 and 0, 5: rows of the second cost three times as much.
    runs = [told(run, row_gradients=10 * (1 + 2 * i)) for i, run in enumerate(runs)]
    found = curve(runs, "loss/train", "row gradients")
    np.testing.assert_array_equal(found.x, [0, 5, 10, 15])
    np.testing.assert_array_equal(found.mean, [3.5, 2.5, 1.5, 0.5])


@pytest.mark.parametrize(
    ("unit", "shared_by", "places"),
    [
        ("updates", 8, [0, 5, 10]),
        ("epochs", 8, [0, 1, 2]),
        ("row gradients", 8, [0, 160, 320]),
        ("seconds", 1, [0, 0.25, 0.5]),
    ],
)
def test_a_curve_lies_along_what_its_updates_cost(
    make_run: MakeRun, unit: Unit, shared_by: int, places: list[float]
) -> None:
    run = make_run({"seed": 0}, curves={"loss/val": [3.0, 2.0, 1.0]})
    known = told(run, row_gradients=320, shared_by=shared_by)
    np.testing.assert_allclose(curve([known], "loss/val", unit).x, places)


@pytest.mark.parametrize("unit", ["row gradients", "seconds"])
def test_there_is_no_curve_along_what_is_not_known_of_every_run(
    make_run: MakeRun, unit: Unit
) -> None:
    runs = [make_run({"seed": seed}, curves={"loss/val": [3.0, 2.0]}) for seed in range(2)]
    runs[0] = told(runs[0], row_gradients=320, shared_by=1)
    runs[1] = told(runs[1], shared_by=8)
    rows = Evidence(runs, rank(runs)).rows("loss/val")
    assert band(runs, "loss/val", rows, unit) is None


def test_a_run_lost_at_once_was_nowhere_else_than_at_the_start(make_run: MakeRun) -> None:
    runs = [
        told(make_run({"seed": 0}, curves={"loss/val": [2.0, 1.0]}), row_gradients=20),
        make_run({"seed": 1}, status="failed", curves={"loss/val": [2.0]}),
    ]
    runs[1] = told(runs[1], updates=0)
    found = curve(runs, "loss/val", "row gradients")
    np.testing.assert_array_equal(found.x, [0, 10])
    np.testing.assert_array_equal(found.high, [2.0, math.inf])


def test_a_long_curve_is_thinned_evenly_and_keeps_its_ends(make_run: MakeRun) -> None:
    values = np.linspace(1.0, 0.0, 101)
    found = curve(
        [make_run({"seed": 0}, curves={"loss/val": values.tolist()})], "loss/val", most=11
    )
    np.testing.assert_array_equal(found.x, np.arange(0, 101, 10))
    np.testing.assert_array_equal(found.mean, values[::10])


def test_best_loss_is_the_lowest_finite_one_of_each_run(make_run: MakeRun) -> None:
    runs = [
        make_run({"seed": 0}, curves={"loss/val": [2.0, 0.5, 1.0]}),
        make_run({"seed": 1}, curves={"loss/val": [3.0, math.nan, -math.inf]}),
        make_run({"seed": 2}),
    ]
    assert best_losses(runs) == {runs[0].folder: 0.5, runs[1].folder: 3.0}


def test_the_curves_shown_are_those_of_the_best_cell_of_each_optimizer_in_each_task(
    make_run: MakeRun,
) -> None:
    values = {("adam", 0.1): 0.8, ("adam", 0.2): 0.9, ("sgd", 0.1): 0.7, ("sgd", 0.2): 0.6}
    runs = [
        make_run(
            {"seed": 0, "task": {"name": task}, "optimizer": {"name": name, "lr": lr}},
            val={"accuracy": value},
            curves={"accuracy/val": [0.1, value]},
        )
        for task in ("digits", "moons")
        for (name, lr), value in values.items()
    ]
    curves = best_curves(Evidence(runs, rank(runs)))
    assert {place: own.mean[-1] for place, own in curves.items()} == {
        ("digits", "adam"): 0.9,
        ("digits", "sgd"): 0.7,
        ("moons", "adam"): 0.9,
        ("moons", "sgd"): 0.7,
    }


def test_a_cell_that_kept_no_curve_is_not_among_the_curves(make_run: MakeRun) -> None:
    runs = [
        make_run({"seed": 0, "optimizer": {"name": "adam"}}, val={"loss": 1.0}),
        make_run(
            {"seed": 0, "optimizer": {"name": "sgd"}}, val={"loss": 2.0}, curves={"loss/val": [2.0]}
        ),
    ]
    assert list(best_curves(Evidence(runs, rank(runs)))) == [("", "sgd")]


def test_curves_in_the_table_of_a_sweep_are_those_in_tables_of_their_own(
    make_run: MakeRun,
) -> None:
    values = {("adam", 0): [0.1, 0.9], ("adam", 1): [0.3, 0.5], ("sgd", 0): [0.2, 0.4]}
    runs = [
        make_run(
            {"seed": seed, "optimizer": {"name": name}},
            val={"accuracy": own[-1]},
            curves={"accuracy/val": own, "loss/val": [2.0, 1.0]},
        )
        for (name, seed), own in values.items()
    ]
    ranking = rank(runs)
    alone, losses = best_curves(Evidence(runs, ranking)), best_losses(runs)
    stacked = runs[:2]  # the third stays as it is: a mix
    logged = [LoggedRun(run.folder, {}, "cell") for run in stacked]
    records = SweepRecords(logged, LoggerConfig(tensorboard=False))
    curves = [
        [[v, loss] for v, loss in zip(values["adam", i], [2.0, 1.0], strict=True)] for i in range(2)
    ]
    records.log_block([0, 1], [0, 5], [0.0, 1.0], ["accuracy/val", "loss/val"], np.array(curves))
    records.close()
    assert not (runs[0].folder / "metrics.parquet").exists()
    found = best_curves(Evidence(runs, ranking))
    assert found.keys() == alone.keys() == {("", "adam"), ("", "sgd")}
    for place, own in found.items():
        np.testing.assert_array_equal(own.x, alone[place].x)
        np.testing.assert_array_equal(own.mean, alone[place].mean)
        np.testing.assert_array_equal(own.low, alone[place].low)
    assert best_losses(runs) == losses
