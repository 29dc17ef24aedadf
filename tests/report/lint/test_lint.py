"""All rules together: silent where all is well, and short where it is not."""

import pytest

from optlab.report.lint import objections
from tests.report.grids import evidence, grid, run

LINE = "optimizer=adam,nag optimizer.lr=0.001,0.01,0.1 seed=range(0,6)"


def test_a_fair_sweep_meets_no_objection() -> None:
    assert objections(evidence(grid(), LINE)) == []


@pytest.mark.parametrize("key", ["schedule", "trainer__epochs", "trainer__batch_size", "task"])
def test_what_is_crossed_with_the_optimizer_is_no_objection(key: str) -> None:
    values = {"schedule": ("constant", "cosine"), "task": ("blobs", "digits")}.get(key, (16, 32))
    runs = [each for value in values for each in grid(**{key: value})]
    assert objections(evidence(runs, LINE)) == []


def test_one_run_and_one_cell_are_no_comparison() -> None:
    assert objections(evidence([run()])) == []
    assert objections(evidence(grid(["adam"], [0.01]))) == []


def test_a_quick_look_hears_little() -> None:
    runs = grid(["adam", "nag", "sgd"], [0.01], [0])
    assert [each.name for each in objections(evidence(runs))] == ["few_seeds"]


def test_without_a_ledger_there_is_no_command() -> None:
    runs = [*grid(["adam"], seeds=range(3)), *grid(["nag"], [0.1], seeds=[0], schedule="cosine")]
    found = objections(evidence(runs))
    assert {"unequal_schedules", "unequal_budgets", "unequal_seeds"} <= {o.name for o in found}
    assert {each.command for each in found} == {""}


def test_diverged_runs_are_results_and_no_objection() -> None:
    lost = [run(status="diverged", optimizer=n, lr=1.0, seed=s) for n in "ab" for s in range(6)]
    assert objections(evidence([*grid("ab"), *lost])) == []
