import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optlab.dashboard.axes import AXES, MOST_POINTS, costs, whole_steps
from optlab.records import RunRecord
from tests.report.conftest import MakeRun

NAMES = {axis.name: axis for axis in AXES}


def with_result(record: RunRecord, **fields: object) -> RunRecord:
    return replace(record, result=replace(record.result, **fields))


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=400).map(sorted))
def test_steps_rise_and_are_the_nearest_whole_numbers(places: list[float]) -> None:
    kept, steps = whole_steps(np.array(places))
    assert len(kept) == len(steps) <= MOST_POINTS
    assert (np.diff(steps) > 0).all()
    assert (np.abs(np.array(places)[kept] - steps) <= 0.5).all()
    assert {steps[0], steps[-1]} == {round(places[0]), round(places[-1])}


def test_of_several_points_in_an_epoch_the_one_at_its_end_stays() -> None:
    kept, steps = whole_steps(np.arange(9) / 4)
    assert steps.tolist() == [0, 1, 2]
    assert kept.tolist() == [0, 4, 8]


def test_a_unit_that_is_not_known_or_counts_nothing_but_updates_is_left_out(
    make_run: MakeRun,
) -> None:
    run = make_run({"seed": 0})  # ten updates, two epochs, 0.5 s
    assert {axis.name for axis in costs([run])} == {"by_update", "by_epoch"}
    full_batch = with_result(run, epochs=10.0, row_gradients=320)
    assert {axis.name for axis in costs([full_batch])} == {"by_update", "by_gradient"}


def test_time_is_drawn_of_runs_that_were_timed_alone(make_run: MakeRun) -> None:
    alone = [with_result(make_run({"seed": n}), shared_by=1) for n in range(2)]
    slower = with_result(alone[1], training_s=1.5)
    found = costs([alone[0], slower])
    assert found[NAMES["by_millisecond"]] == pytest.approx(100.0)  # of 50 ms and 150 ms
    together = with_result(slower, shared_by=2)
    assert NAMES["by_millisecond"] not in costs([alone[0], together])


def test_a_cell_without_an_update_has_no_axis(make_run: MakeRun) -> None:
    assert costs([with_result(make_run({"seed": 0}), updates=0, epochs=math.nan)]) == {}
