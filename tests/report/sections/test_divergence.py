import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from optlab.records import RunRecord
from optlab.report.charts import Chart, Figure, Heatmap, Views
from optlab.report.evidence import Evidence
from optlab.report.page import Section
from optlab.report.ranking import rank
from optlab.report.sections.divergence import divergence

MakeRun = Callable[..., RunRecord]


def section(records: list[RunRecord]) -> Section:
    return divergence(Evidence(records, rank(records)))


def run_of(
    make_run: MakeRun, name: str, lr: float, seed: int, status: str = "done", **more: Any
) -> RunRecord:
    config = {
        "seed": seed,
        "optimizer": {"name": name, "lr": lr},
        "task": {"name": more.pop("task", "digits")},
        "init": {"name": more.pop("init", "zeros")},
        "trainer": {"epochs": 10},
    }
    val = {"loss": lr, "accuracy": 0.9} if status == "done" else {}
    run = make_run(config, val=val, status=status)
    return replace(run, result=replace(run.result, **more))


def grid(make_run: MakeRun, task: str = "digits") -> list[RunRecord]:
    """Return two runs of each cell; sgd loses one of two at the rate 1, by two causes."""
    runs = [
        run_of(make_run, name, lr, 0, task=task) for name in ("adam", "sgd") for lr in (0.1, 1.0)
    ]
    runs += [run_of(make_run, name, 0.1, 1, task=task) for name in ("adam", "sgd")]
    runs += [run_of(make_run, "adam", 1.0, 1, "interrupted", task=task)]
    cause = "the training loss became nan at update 303"
    return [*runs, run_of(make_run, "sgd", 1.0, 1, "diverged", cause=cause, updates=310, task=task)]


def of_kind(found: Section, kind: type[Figure]) -> list[Any]:
    return [figure for figure in found.figures if isinstance(figure, kind)]


def test_where_none_was_lost_there_is_one_sentence(make_run: MakeRun) -> None:
    found = section([run_of(make_run, "adam", 0.1, 0)])
    assert found.sentences == ("No run diverged or failed.",)
    assert found.figures == ()
    assert found.tables == ()


def test_the_map_has_the_share_of_runs_lost_by_optimizer_and_rate(make_run: MakeRun) -> None:
    (heatmap,) = of_kind(section(grid(make_run)), Heatmap)
    assert heatmap.y.names == ("adam", "sgd")
    assert heatmap.x.names == ("0.1", "1")
    np.testing.assert_array_equal(heatmap.values, [[0, 0], [0, 0.5]])
    assert heatmap.texts == (("0/2", "0/1"), ("0/2", "1/2"))  # an interrupted run says nothing


def test_a_place_where_nothing_was_run_is_empty(make_run: MakeRun) -> None:
    runs = [run for run in grid(make_run) if run.options["optimizer.lr"] == 1.0]
    runs.append(run_of(make_run, "sgd", 0.1, 0))
    (heatmap,) = of_kind(section(runs), Heatmap)
    assert heatmap.texts[0] == ("", "0/1")
    assert math.isnan(heatmap.values[0, 0])


def test_without_a_rate_the_factor_that_tells_most_takes_its_place(make_run: MakeRun) -> None:
    runs = [
        run_of(make_run, name, 0.1, seed, "failed" if init == "ones" else "done", init=init)
        for name in ("adam", "sgd")
        for init in ("zeros", "ones")
        for seed in (0, 1)
    ]
    (heatmap,) = of_kind(section(runs), Heatmap)
    assert heatmap.y.names == ("adam", "sgd")
    assert heatmap.x.title == "init"
    assert dict(zip(heatmap.x.names, heatmap.values[0], strict=True)) == {"zeros": 0.0, "ones": 1.0}


def test_one_factor_alone_has_no_map_but_a_table(make_run: MakeRun) -> None:
    runs = [run_of(make_run, "adam", 0.1, 0), run_of(make_run, "sgd", 0.1, 0, "failed")]
    found = section(runs)
    assert of_kind(found, Heatmap) == []
    assert [row[0] for row in found.tables[0].rows] == ["sgd"]


def test_the_table_says_when_and_why(make_run: MakeRun) -> None:
    found = section(grid(make_run))
    (table,) = found.tables
    (row,) = [dict(zip([c.key for c in table.columns], row, strict=True)) for row in table.rows]
    assert row == {
        "cell": "sgd, lr=1",
        "runs": 2,
        "diverged": 1,
        "failed": 0,
        "lost_at_update": 303,
        "share_of_epochs": 0.2 * 303 / 310,  # it went on to update 310 before it was noticed
        "cause": "the training loss became nan",
    }
    assert "1 of 7 runs diverged or failed, in 1 of 4 cells" in found.sentences[0]
    assert "by update 303" in found.sentences[1]
    assert "the training loss became nan (1)." in found.sentences[1]


def test_causes_beyond_three_are_counted_and_one_without_words_is_named(make_run: MakeRun) -> None:
    causes = ["a", "b", "b", "", None, "c\nTraceback", "d"]
    runs = [run_of(make_run, "sgd", 1.0, i, "failed", cause=c) for i, c in enumerate(causes)]
    assert (
        section(runs)
        .sentences[1]
        .endswith("Causes: b (2); no cause was recorded (2); a (1); and 2 more.")
    )


def test_runs_are_left_until_they_are_lost(make_run: MakeRun) -> None:
    runs = [run_of(make_run, "adam", 0.1, seed) for seed in range(2)]
    runs += [run_of(make_run, "sgd", 0.1, seed) for seed in range(2)]
    runs += [run_of(make_run, "sgd", 0.1, i, "diverged", epochs=9 - 3.0 * i) for i in (2, 3)]
    (chart,) = of_kind(section(runs), Chart)
    (series,) = chart.series
    assert series.name == "sgd"
    np.testing.assert_allclose(series.x, [0, 0, 0.3, 1])
    np.testing.assert_allclose(series.y, [1, 0.75, 0.5, 0.5])


def test_tasks_have_a_map_each_but_those_in_which_none_was_lost(make_run: MakeRun) -> None:
    runs = [*grid(make_run, "a"), *grid(make_run, "b"), run_of(make_run, "adam", 0.1, 0, task="c")]
    found = section(runs)
    (views,) = of_kind(found, Views)
    assert list(views.choices) == ["a", "b"]
    assert found.sentences[0].endswith("None did in c.")
    assert found.tables[0].columns[0].key == "task"
