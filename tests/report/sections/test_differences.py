from collections.abc import Callable, Mapping
from typing import Any

from optlab.records import RunRecord
from optlab.report.evidence import Evidence
from optlab.report.page import Table
from optlab.report.ranking import rank
from optlab.report.sections.differences import MOST_CELLS, differences

MakeRun = Callable[..., RunRecord]


def tables(records: list[RunRecord]) -> tuple[Table, ...]:
    found = differences(Evidence(records, rank(records)))
    assert found is not None
    return found.tables


def run_of(make_run: MakeRun, accuracy: float, optimizer: Mapping[str, Any], **more: Any) -> Any:
    config = {
        "seed": more.pop("seed", 0),
        "optimizer": dict(optimizer),
        "model": {"name": "mlp", "hidden": [64]},
        **more,
    }
    return make_run(config, val={"accuracy": accuracy})


def test_only_options_that_differ_between_the_best_cells_are_listed(make_run: MakeRun) -> None:
    runs = [
        run_of(make_run, 0.9, {"name": "adam", "beta1": 0.9, "eps": 1e-8, "lr": 0.01}, seed=3),
        run_of(make_run, 0.7, {"name": "adam", "beta1": 0.9, "eps": 1e-8, "lr": 5.0}),
        run_of(make_run, 0.8, {"name": "rmsprop", "eps": 1e-8, "lr": 0.1}, logger={"x": 1}),
    ]
    (table,) = tables(runs)
    assert [column.title for column in table.columns] == [
        "option",
        "1. adam, lr=0.01",
        "2. rmsprop, lr=0.1",
    ]
    # Neither eps, which is the same, nor the seed or the logger, which are no part of a cell.
    assert [list(row) for row in table.rows] == [
        ["optimizer.name", "adam", "rmsprop"],
        ["optimizer.lr", "0.01", "0.1"],
        ["optimizer.beta1", "0.9", "-"],
    ]


def test_an_option_that_is_absent_is_not_one_that_is_null(make_run: MakeRun) -> None:
    runs = [
        run_of(make_run, 0.9, {"name": "adam", "decay": None}),
        run_of(make_run, 0.8, {"name": "sgd"}),
    ]
    (table,) = tables(runs)
    assert list(table.rows[1]) == ["optimizer.decay", "null", "-"]


def test_of_one_optimizer_its_best_cells_are_compared(make_run: MakeRun) -> None:
    runs = [run_of(make_run, 0.9 - i / 100, {"name": "adam", "lr": i}) for i in range(1, 12)]
    (table,) = tables(runs)
    assert [list(row) for row in table.rows] == [
        ["optimizer.lr", *(str(i) for i in range(1, MOST_CELLS + 1))]
    ]


def test_each_task_has_a_table(make_run: MakeRun) -> None:
    runs = [
        run_of(make_run, 0.9, {"name": name}, task={"name": task})
        for task in ("digits", "moons")
        for name in ("adam", "sgd")
    ]
    assert [table.name for table in tables(runs)] == ["differences_digits", "differences_moons"]


def test_cells_without_a_rank_have_none_in_their_heading(make_run: MakeRun) -> None:
    runs = [make_run({"optimizer": {"name": name}}, status="failed") for name in ("adam", "sgd")]
    (table,) = tables(runs)
    assert [column.title for column in table.columns] == ["option", "adam", "sgd"]


def test_one_cell_alone_differs_from_nothing(make_run: MakeRun) -> None:
    runs = [run_of(make_run, 0.9, {"name": "adam"}, seed=seed) for seed in range(2)]
    assert differences(Evidence(runs, rank(runs))) is None
