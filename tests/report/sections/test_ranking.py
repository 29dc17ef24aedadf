import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from optlab.records import RunRecord
from optlab.report.charts import Chart, Views
from optlab.report.evidence import Evidence
from optlab.report.page import Section, Table
from optlab.report.ranking import rank
from optlab.report.sections.ranking import MOST_CELLS, ranking
from optlab.results import Verdict

MakeRun = Callable[..., RunRecord]


def section(records: list[RunRecord]) -> Section:
    return ranking(Evidence(records, rank(records)))


def column(table: Table, key: str) -> list[object]:
    place = [column.key for column in table.columns].index(key)
    return [row[place] for row in table.rows]


def keys(table: Table) -> list[str]:
    return [column.key for column in table.columns]


def runs_of(make_run: MakeRun, values: dict[str, list[float]], **more: object) -> list[RunRecord]:
    return [
        make_run(
            {"seed": seed, "optimizer": {"name": name}, **more},
            val={"loss": 1 - value, "accuracy": value},
            test={"accuracy": value / 2},
        )
        for name, own in values.items()
        for seed, value in enumerate(own)
    ]


def test_the_table_has_mean_interval_and_n_of_every_cell_the_best_first(
    make_run: MakeRun,
) -> None:
    runs = runs_of(make_run, {"sgd": [0.5, 0.6], "adam": [0.8, 0.9]})
    (table,) = section(runs).tables
    assert column(table, "cell") == ["adam", "sgd"]
    assert column(table, "rank") == [1, 2]
    assert column(table, "runs") == [2, 2]
    best = rank(runs).cells[0].val
    for part in ("mean", "low", "high", "std"):
        assert column(table, f"val_accuracy_{part}")[0] == getattr(best, part)
    np.testing.assert_allclose(column(table, "test_accuracy_mean"), [0.425, 0.275])
    assert not {"diverged", "interrupted", "verdicts"} & {*keys(table)}


def test_n_is_of_scored_runs_and_lost_ones_are_counted(make_run: MakeRun) -> None:
    runs = runs_of(make_run, {"adam": [0.8, 0.9]})
    adam = {"optimizer": {"name": "adam"}}
    runs += [make_run({**adam, "seed": 2}, status="diverged")]
    runs += [make_run({**adam, "seed": 3}, status="interrupted")]
    (table,) = section(runs).tables
    assert [column(table, key) for key in ("runs", "diverged", "interrupted")] == [[3], [1], [1]]


def test_the_interquartile_mean_is_shown_from_four_runs_on(make_run: MakeRun) -> None:
    values = {"adam": [0.1, 0.8, 0.9, 1.0], "sgd": [0.1, 0.2, 0.3]}
    (table,) = section(runs_of(make_run, values)).tables
    np.testing.assert_allclose(column(table, "val_accuracy_iqm")[0], 0.85)
    assert column(table, "val_accuracy_iqm")[1] is None
    (table,) = section(runs_of(make_run, {"nag": [0.1, 0.2, 0.3]})).tables
    assert "val_accuracy_iqm" not in keys(table)


def test_verdicts_stand_beside_their_cell(make_run: MakeRun) -> None:
    runs = runs_of(make_run, {"adam": [0.8, 0.9]})
    seen = [Verdict(name, "", "", 2.0, 0) for name in ("lr_too_high", "plateau")]
    runs[0] = replace(runs[0], result=replace(runs[0].result, verdicts=seen))
    (table,) = section(runs).tables
    assert column(table, "verdicts") == ["lr too high 1/2, plateau 1/2"]


def test_it_is_said_how_many_means_lie_within_the_first_ones_interval(make_run: MakeRun) -> None:
    close = section(runs_of(make_run, {"adam": [0.7, 0.9], "sgd": [0.75, 0.8], "nag": [0.0, 0.1]}))
    assert "adam came first of 3, with a mean validation accuracy of 0.8" in close.sentences[0]
    assert "the mean of 1 other lies within that interval" in close.sentences[0]
    alone = section(runs_of(make_run, {"adam": [0.7]}))
    assert "adam is the only cell" in alone.sentences[0]
    assert "how far seeds scatter is not known" in alone.sentences[0]


def test_a_mean_of_equal_runs_claims_no_interval(make_run: MakeRun) -> None:
    runs = runs_of(make_run, {"adam": [0.9694, 0.9694], "sgd": [0.5, 0.6]})
    copies = section(runs).sentences[0]
    assert copies.endswith("0.9694, from 2 runs: seeds change nothing in it.")
    runs[1] = replace(runs[1], result=replace(runs[1].result, train={"loss": 0.5}))
    rounded = section(runs).sentences[0]
    assert "0.9694, the same in all of its 2 runs: no interval can be told" in rounded
    assert "0.9694 to" not in rounded


def test_the_figure_has_the_best_cells_with_their_intervals(make_run: MakeRun) -> None:
    values = {f"rule{i:02d}": [0.9 - i / 50, 0.88 - i / 50] for i in range(MOST_CELLS + 3)}
    runs = runs_of(make_run, values)
    (chart,) = section(runs).figures
    assert isinstance(chart, Chart)
    assert chart.y.names == tuple(list(values)[:MOST_CELLS])
    assert chart.title == "Best 25 of 28 cells"
    second = chart.series[1]
    cell = rank(runs).cells[1]
    assert second.name == "rule01"
    assert second.y.tolist() == [1]
    assert second.left is not None
    assert second.right is not None
    own = [second.left[0], second.x[0], second.right[0]]
    assert own == [cell.val.low, cell.val.mean, cell.val.high]


def test_a_cell_with_an_infinite_mean_stays_in_the_figure(make_run: MakeRun) -> None:
    runs = [
        make_run({"optimizer": {"name": "adam"}}, val={"loss": 1.0}),
        make_run({"optimizer": {"name": "sgd"}}, status="diverged"),
    ]
    (chart,) = section(runs).figures
    assert isinstance(chart, Chart)
    assert chart.y.names == ("adam", "sgd")
    assert [series.x.tolist() for series in chart.series] == [[1.0], [math.inf]]


def test_tasks_have_tables_of_their_own_and_one_figure_with_a_choice(make_run: MakeRun) -> None:
    runs = [
        run
        for task in ("moons", "digits")
        for run in runs_of(make_run, {"adam": [0.8], "sgd": [0.7]}, task={"name": task})
    ]
    runs.append(make_run({"task": {"name": "bad"}, "optimizer": {"name": "adam"}}, status="failed"))
    found = section(runs)
    assert [t.name for t in found.tables] == ["ranking_bad", "ranking_digits", "ranking_moons"]
    (views,) = found.figures
    assert isinstance(views, Views)
    assert list(views.choices) == ["digits", "moons"]
    assert "bad: no run is done, and there is nothing to rank." in found.sentences
    assert not any(key.startswith("val_") for key in keys(found.tables[0]))


def test_where_nothing_is_ranked_there_is_no_figure(make_run: MakeRun) -> None:
    found = section([make_run({"seed": 0}, status="failed")])
    assert found.figures == ()
    assert found.sentences == ("No run is done, and there is nothing to rank.",)


def test_one_cell_alone_has_no_figure(make_run: MakeRun) -> None:
    assert section(runs_of(make_run, {"adam": [0.9, 0.8]})).figures == ()
