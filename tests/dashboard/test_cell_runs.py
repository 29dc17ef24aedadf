import math

import pytest

from optlab.dashboard.cell_runs import LOST, RANK, CellRun, scores
from optlab.report.ranking import rank
from tests.report.conftest import MakeRun


def test_scores_are_those_of_the_ranking(make_run: MakeRun) -> None:
    config = {"optimizer": {"name": "adam"}}
    records = [
        make_run({**config, "seed": seed}, val={"accuracy": value}, test={"accuracy": 0.5})
        for seed, value in enumerate((0.6, 0.8))
    ]
    (cell,) = rank(records).cells
    found = scores(cell)
    assert found[RANK] == 1
    assert found["score/accuracy_val"] == pytest.approx(0.7)
    assert found["score/accuracy_val_low"] == cell.val.low < 0.7
    assert found["score/accuracy_val_high"] == cell.val.high > 0.7
    assert found["score/accuracy_test"] == 0.5
    assert found[LOST] == 0


def test_a_cell_that_nothing_is_known_of_has_no_rank(make_run: MakeRun) -> None:
    records = [make_run({"optimizer": {"name": "adam"}}, status="interrupted")]
    (cell,) = rank(records).cells
    found = scores(cell)
    assert math.isnan(found[RANK])
    assert math.isnan(found["score/loss_val"])


def test_time_stands_still_where_none_is_known(make_run: MakeRun) -> None:
    record = make_run({"optimizer": {"name": "adam"}}, val={"loss": 1.0})
    (cell,) = rank([record]).cells
    assert CellRun("01 adam", cell, [record], [], 0.0).update_s == 0.0
