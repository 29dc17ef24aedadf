"""Paths over test functions: `optlab sweep task=rosenbrock` (GRD-12, GRD-13)."""

import math

import numpy as np
import pytest

from optlab.cli import main
from optlab.landscape.paths import best_walks, walks
from optlab.landscape.surfaces import Map
from optlab.landscape.trajectories import trajectories
from optlab.records import collect
from optlab.report.evidence import Evidence
from optlab.report.ranking import rank


def evidence_of(folder):
    records = collect(folder)
    return Evidence(records, rank(records))


@pytest.fixture(scope="module")
def valley(tmp_path_factory):
    folder = tmp_path_factory.mktemp("valley") / "sweep"
    quiet = ["trainer.epochs=40", "logger.console=false", f"sweep.dir={folder}"]
    assert main(["sweep", "task=rosenbrock", "optimizer=adam,batch_gd", *quiet]) == 0
    return evidence_of(folder)


def test_a_sweep_over_a_test_function_begins_at_several_points_with_several_rates(valley):
    starts = {tuple(run.options["model.start"]) for run in valley.records}
    rates = {run.options["optimizer.lr"] for run in valley.records}
    assert len(starts) == 3
    assert rates == {1e-4, 1e-3, 1e-2, 1e-1}
    assert len(valley.records) == 2 * 3 * 4
    assert len(valley.ranking.groups) == 3  # a start is no method


def test_what_the_line_says_of_start_and_rate_counts(tmp_path):
    own = ["model.start=[0.5,0.5]", "optimizer.lr=0.02", "optimizer=adam,nag"]
    quiet = ["trainer.epochs=2", "logger.console=false", f"sweep.dir={tmp_path / 'own'}"]
    assert main(["sweep", "task=rosenbrock", *own, *quiet]) == 0
    records = collect(tmp_path / "own")
    assert [run.options["model.start"] for run in records] == [[0.5, 0.5]] * 2
    assert {run.options["optimizer.lr"] for run in records} == {0.02}


def test_walks_are_those_of_the_points_and_end_where_the_runs_end(valley):
    ground = Map.of(valley.records[0].config)
    every = walks(valley, valley.ranking.cells, ground)
    assert len(every) == 2 * 4
    assert all(len(walk.paths) == 3 for walk in every)
    losses = {
        (
            run.options["optimizer.name"],
            run.options["optimizer.lr"],
            tuple(run.options["model.start"]),
        ): run
        for run in valley.records
    }
    for walk in every:
        for start, path in walk.paths.items():
            run = losses[walk.optimizer, walk.lr, start]
            assert path.points[0] == pytest.approx(start)
            assert path.is_lost == (run.result.status == "diverged")
            if not path.is_lost:
                assert path.height == pytest.approx(
                    min(run.result.val["loss"], float(ground.heights(path.points[:1])[0])), rel=1e-4
                )


def test_what_diverges_counts_as_if_it_had_stayed(valley):
    ground = Map.of(valley.records[0].config)
    lost = [
        path
        for walk in walks(valley, valley.ranking.cells, ground)
        for path in walk.paths.values()
        if path.is_lost
    ]
    assert lost  # plain gradient descent at 0.1
    for path in lost:
        assert path.height == pytest.approx(float(ground.heights(path.points[:1])[0]))


def test_the_best_walk_of_an_optimizer_is_the_lowest_over_all_starts(valley):
    ground = Map.of(valley.records[0].config)
    every = walks(valley, valley.ranking.cells, ground)
    for best in best_walks(every):
        rivals = [walk for walk in every if walk.optimizer == best.optimizer]
        logs = [np.mean([math.log(p.height) for p in walk.paths.values()]) for walk in rivals]
        assert math.log(best.height) == pytest.approx(min(logs))


def test_the_section_has_a_map_for_each_optimizer_and_each_rate(valley):
    section = trajectories(valley)
    views, heights = section.figures
    assert list(views.choices) == [
        "best of each optimizer",
        *(f"lr={rate:g}" for rate in (1e-4, 1e-3, 1e-2, 1e-1)),
    ]
    for panels in views.choices.values():
        assert len(panels.charts) == 2
        assert all(chart.field.values.shape == (61, 61) for chart in panels.charts)
    assert {series.name for series in heights.series} == {"adam", "batch_gd"}
    assert len(section.tables[0].rows) == 8


def test_heights_are_those_of_the_function_above_its_minimum():
    saddle = Map.of({"task": {"name": "saddle"}})
    assert saddle.lowest == -1.0
    assert saddle.heights(np.array([[0.0, 0.0], [1.0, 0.0]])).tolist() == [1.0, 2.0]
    field = saddle.field(saddle.region(np.array([[1.0, 0.0]])))
    x, y = field.x[10], field.y[40]
    assert field.values[40, 10] == pytest.approx(float(saddle.heights(np.array([[x, y]]))[0]))


def test_a_function_of_one_variable_is_shown_over_updates(tmp_path):
    quiet = ["trainer.epochs=5", "logger.console=false", f"sweep.dir={tmp_path / 'well'}"]
    assert main(["sweep", "task=well", "optimizer=adam", *quiet]) == 0
    section = trajectories(evidence_of(tmp_path / "well"))
    chart = next(iter(section.figures[0].choices.values())).charts[0]
    assert chart.x.title == "updates"
    assert chart.series[0].x.tolist() == [0, 1, 2, 3, 4, 5]


def test_runs_that_are_about_no_function_have_no_such_section(tmp_path):
    tiny = ["task=xor", "trainer.epochs=1", "logger.console=false"]
    assert main(["sweep", *tiny, "seed=0,1", f"sweep.dir={tmp_path / 'xor'}"]) == 0
    assert trajectories(evidence_of(tmp_path / "xor")) is None
