from dataclasses import replace

import pytest

from optlab.records import RunRecord
from optlab.report.measures.seedless import is_seedless
from tests.report.grids import evidence, grid
from tests.report.trials import evidence as of_trials
from tests.report.trials import trials

FUNCTION = {"model": "point", "task": "rosenbrock"}


def with_val(run: RunRecord, **val: float) -> RunRecord:
    return replace(run, result=replace(run.result, val=val))


def test_runs_that_agree_in_every_value_are_no_sample() -> None:
    runs = trials({"adam": [0.9] * 3})
    seen = of_trials(runs)
    assert is_seedless(seen, seen.ranking.cells[0])


@pytest.mark.parametrize("other", [{"loss": 1.0 + 2**-52, "accuracy": 0.9}, {"accuracy": 0.9}])
def test_runs_of_equal_accuracy_and_another_loss_are_a_sample(other: dict[str, float]) -> None:
    first, second = trials({"adam": [0.9] * 2})
    seen = of_trials([first, with_val(second, **other)])
    assert not is_seedless(seen, seen.ranking.cells[0])


def test_a_run_that_diverged_beside_one_that_did_not_is_a_sample() -> None:
    seen = of_trials(trials({"adam": [0.9, 0.9, float("inf")]}))
    assert not is_seedless(seen, seen.ranking.cells[0])


def test_runs_that_all_diverged_show_nothing() -> None:
    seen = of_trials(trials({"adam": [float("inf")] * 2, "sgd": [0.9, 0.8]}))
    assert [is_seedless(seen, cell) for cell in seen.ranking.cells] == [False, False]


@pytest.mark.parametrize(("noise", "expected"), [(0.0, True), (0.1, False)])
def test_one_run_is_enough_on_a_test_function_without_noise(noise: float, expected: bool) -> None:
    seen = evidence(grid(["adam"], [0.1], seeds=[0], **FUNCTION, task__noise=noise))
    assert is_seedless(seen, seen.ranking.cells[0]) is expected


def test_runs_that_differ_are_believed_even_on_a_test_function() -> None:
    runs = grid(["adam"], [0.1], seeds=[0, 1], **FUNCTION, task__noise=0.0)
    moved = [with_val(run, loss=1.0 + place) for place, run in enumerate(runs)]
    seen = evidence(moved)
    assert not is_seedless(seen, seen.ranking.cells[0])
