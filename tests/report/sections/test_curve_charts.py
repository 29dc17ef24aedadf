import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from optlab.records import RunRecord
from optlab.report.charts import Chart
from optlab.report.evidence import Evidence
from optlab.report.ranking import rank
from optlab.report.sections.curve_charts import (
    DOTS,
    MOST_CELLS,
    MOST_SHOWN,
    Quantity,
    curve_chart,
    curve_panel,
    num_curves,
    num_shown,
    quantities,
)

MakeRun = Callable[..., RunRecord]
LOSS = Quantity("loss/val", "loss", "validation loss")


def chart(records: list[RunRecord], quantity: Quantity = LOSS) -> Chart:
    found = curve_chart(Evidence(records, rank(records)), "", quantity, "epochs", 200)
    assert found is not None
    return found


def runs_of(make_run: MakeRun, cells: Sequence[tuple[str, float]]) -> list[RunRecord]:
    """Return a run of each optimizer and rate, the first ending best."""
    return [
        make_run(
            {"optimizer": {"name": name, "lr": lr}},
            val={"loss": 1.0 + place / 100},
            curves={"loss/val": [3.0, 1.0 + place / 100]},
        )
        for place, (name, lr) in enumerate(cells)
    ]


def test_the_best_cell_of_each_optimizer_is_shown_and_the_rest_hidden(make_run: MakeRun) -> None:
    cells = [("adam", 0.1), ("adam", 0.2), ("sgd", 0.1), ("sgd", 0.2)]
    series = chart(runs_of(make_run, cells)).series
    assert [(s.name, s.is_shown) for s in series] == [
        ("adam, lr=0.1", True),
        ("sgd, lr=0.1", True),
        ("adam, lr=0.2", False),
        ("sgd, lr=0.2", False),
    ]
    best, other = series[0].look, series[2].look
    assert best.color == other.color  # the same optimizer
    assert best.linestyle != other.linestyle == DOTS


def test_of_many_optimizers_and_cells_only_the_best_are_there(make_run: MakeRun) -> None:
    cells = [(f"rule{i}", lr) for lr in (0.1, 0.2, 0.3, 0.4) for i in range(12)]
    runs = runs_of(make_run, cells)
    series = chart(runs).series
    assert [s.name for s in series if s.is_shown] == [f"rule{i}, lr=0.1" for i in range(MOST_SHOWN)]
    assert len(series) == MOST_CELLS
    evidence = Evidence(runs, rank(runs))
    assert num_curves(evidence, "") == MOST_CELLS
    assert num_shown(evidence, "") == MOST_SHOWN


def test_the_best_cells_of_one_optimizer_alone_have_looks_of_their_own(make_run: MakeRun) -> None:
    series = chart(runs_of(make_run, [("adam", i / 10) for i in range(1, 10)])).series
    shown = [s.look for s in series if s.is_shown]
    assert len(shown) == 7
    assert len({look.color for look in shown}) == 7


def test_a_panel_has_the_best_cells_by_the_names_of_their_optimizers(make_run: MakeRun) -> None:
    runs = runs_of(make_run, [("adam", 0.1), ("adam", 0.2), ("sgd", 0.1)])
    evidence = Evidence(runs, rank(runs))
    panel = curve_panel(evidence, "", LOSS, "epochs", 200)
    assert panel is not None
    assert [s.name for s in panel.series] == ["adam", "sgd"]
    assert [s.look for s in panel.series] == [evidence.looks[name] for name in ("adam", "sgd")]


def test_there_is_no_chart_of_what_was_not_recorded(make_run: MakeRun) -> None:
    runs = runs_of(make_run, [("adam", 0.1)])
    evidence = Evidence(runs, rank(runs))
    assert curve_chart(evidence, "", quantities("accuracy")[0], "epochs", 200) is None
    assert curve_panel(evidence, "", quantities("accuracy")[0], "epochs", 200) is None


def test_a_loss_far_above_the_start_is_cut_off(make_run: MakeRun) -> None:
    runs = [
        make_run({"seed": seed}, val={"loss": 1.0}, curves={"loss/val": values})
        for seed, values in enumerate(([3.0, 1e9, 0.01], [5.0, 1.0, 0.03]))
    ]
    found = chart(runs)
    assert found.y.ends == (0.01, 8.0)  # twice the mean at the start
    assert found.y.scale == "log"
    assert found.series[0].high is not None
    assert found.series[0].high[1] == 1e9
    assert found.can_be_log


def test_a_negative_loss_is_cut_off_on_a_linear_axis(make_run: MakeRun) -> None:
    run = make_run({"seed": 0}, val={"loss": 1.0}, curves={"loss/val": [1.0, 70.0, -3.0]})
    found = chart([run])
    assert found.y.ends == (-3.0, 3.0)
    assert found.y.scale == "linear"


def test_a_loss_that_only_falls_is_shown_whole(make_run: MakeRun) -> None:
    assert chart(runs_of(make_run, [("adam", 0.1)])).y.ends is None


def test_where_a_seed_is_lost_the_mean_is_infinite_from_then_on(make_run: MakeRun) -> None:
    runs = [
        make_run({"seed": 0}, val={"loss": 1.0}, curves={"loss/val": [3.0, 2.0, 1.0]}),
        make_run({"seed": 1}, status="diverged", curves={"loss/val": [3.0, math.nan]}),
    ]
    (series,) = chart(runs).series
    np.testing.assert_array_equal(series.y, [3.0, math.inf, math.inf])
    assert series.low is not None
    np.testing.assert_array_equal(series.low, [3.0, 2.0, 1.0])


def test_runs_that_differ_in_time_have_a_mean_in_steps(make_run: MakeRun) -> None:
    runs = [
        make_run({"seed": seed}, val={"loss": 1.0}, curves={"loss/val": [3.0, 1.0]})
        for seed in range(2)
    ]
    timed = [
        replace(run, result=replace(run.result, shared_by=1, training_s=1.0 + place))
        for place, run in enumerate(runs)
    ]
    found = curve_chart(Evidence(timed, rank(timed)), "", LOSS, "seconds", 200)
    assert found is not None
    (series,) = found.series
    assert series.kind == "steps"
    np.testing.assert_array_equal(series.x, [0.0, 0.5, 1.0])
    np.testing.assert_array_equal(series.y, [3.0, 2.0, 1.0])
    assert chart(runs).series[0].kind == "line"
