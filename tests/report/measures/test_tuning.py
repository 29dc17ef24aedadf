import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from optlab.records import RunRecord, SweepRecord
from optlab.report.evidence import Evidence
from optlab.report.measures.tuning import MOST_POINTS, Trials
from optlab.report.measures.tuning import trials as trials_of
from optlab.report.ranking import rank
from tests.report.trials import trial, trials

SEARCH = ("optimizer.lr=interval(0.1,10)", "search=halton", "trials=4")


def of(values: Sequence[float], by: str = "accuracy") -> tuple[list[RunRecord], Trials]:
    records = [trial("sgd", v, 0, lr=place + 1.0, by=by) for place, v in enumerate(values)]
    (group,) = (evidence := Evidence(records, rank(records))).ranking.groups
    (own,) = trials_of(evidence, group)
    return records, own


def test_of_accuracies_the_best_of_k_is_the_mean_over_all_choices() -> None:
    _, own = of([0.2, 0.4, 0.9])
    assert own.budgets.tolist() == [1, 2, 3]
    # Of two: 0.4 once, 0.9 twice.
    np.testing.assert_allclose(own.typical(own.budgets), [0.5, 2.2 / 3, 0.9])
    low, high = own.spread(own.budgets)
    assert (low <= own.typical(own.budgets)).all()
    assert low[0] == 0.2
    assert (high == 0.9).all()


def test_of_losses_it_is_the_median_which_diverged_trials_leave_finite() -> None:
    _, own = of([1.0, 2.0, math.inf, math.inf, math.inf], by="loss")
    # Of two of five trials 7 choices of 10 have a finite one, 4 of them the loss 1.
    assert own.typical(own.budgets)[:2].tolist() == [math.inf, 2.0]
    assert own.spread(np.array([5.0]))[1].tolist() == [1.0]


def test_of_many_trials_not_every_number_has_a_point() -> None:
    _, own = of(np.linspace(0.1, 0.9, 3 * MOST_POINTS).tolist())
    assert len(own.budgets) <= MOST_POINTS
    assert (own.budgets[0], own.budgets[-1]) == (1, 3 * MOST_POINTS)


@pytest.mark.parametrize("words", [SEARCH, ("protocol=quick", "optimizer=sgd")])
def test_a_search_is_known_in_its_order(words: tuple[str, ...]) -> None:
    records, _ = of([0.3, 0.9, 0.5, 0.7])
    order = tuple(records[place].folder for place in (2, 0, 3, 1))
    sweep = SweepRecord(Path("digits"), (words,), (), order)
    evidence = Evidence(records, rank(records), [sweep])
    (own,) = trials_of(evidence, "digits")
    assert own.in_order
    np.testing.assert_allclose(own.first(own.budgets), [0.5, 0.5, 0.7, 0.9])


def test_a_grid_and_half_a_search_have_no_order() -> None:
    records, _ = of([0.3, 0.9, 0.5, 0.7])
    folders = tuple(record.folder for record in records)
    grid = SweepRecord(Path("digits"), (("optimizer.lr=1,2,3,4",),), (), folders)
    half = SweepRecord(Path("digits"), (SEARCH,), (), folders[:2])
    for sweep in (grid, half):
        (own,) = trials_of(Evidence(records, rank(records), [sweep]), "digits")
        assert not own.in_order


def test_a_trial_is_a_cell_over_its_seeds() -> None:
    records = trials({"sgd 0.1": [0.2, 0.6], "sgd 1": [0.5, 0.7], "adam 1": [0.1, 0.1]})
    evidence = Evidence(records, rank(records))
    found = trials_of(evidence, "digits")
    assert [(own.optimizer, len(own)) for own in found] == [("sgd", 2), ("adam", 1)]
    assert found[0].typical(np.array([2.0]))[0] == pytest.approx(0.6)
