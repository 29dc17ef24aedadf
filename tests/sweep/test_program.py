"""Arrays of a program: how many runs, in which, and what is left when memory runs out."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from optlab.sweep.program import Footprint, Plan, Program, array_sizes
from tests.sweep.planning import planned_all


def program(num_runs, *arrays):
    runs = tuple(planned_all(*({"seed": seed} for seed in range(num_runs))))
    return Program(1, runs, "native", {}, arrays, Footprint(10, 100))


@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 20))
def test_arrays_hold_all_runs_and_are_as_equal_as_can_be(num_runs, most, least_arrays):
    sizes = array_sizes(num_runs, most, least_arrays)
    assert sum(sizes) == num_runs
    assert 1 <= min(sizes) <= max(sizes) <= min(most, min(sizes) + 1)
    assert len(sizes) >= min(least_arrays, num_runs)


def test_no_more_arrays_than_needed():
    assert array_sizes(288, 100) == (96, 96, 96)
    assert array_sizes(7, 100, least_arrays=3) == (3, 2, 2)
    assert array_sizes(2, 100, least_arrays=5) == (1, 1)


def test_a_footprint_fits_as_many_runs_as_there_is_room_for_and_always_one():
    footprint = Footprint(run=10, shared=100)
    assert [footprint.most(budget) for budget in (149, 150, 0)] == [4, 5, 1]
    assert footprint.of(footprint.most(149)) <= 149 < footprint.of(5)


def test_an_array_is_its_part_of_the_runs():
    whole = program(7, 3, 2, 2)
    arrays = [whole.array(i) for i in range(3)]
    assert [len(array) for array in arrays] == [3, 2, 2]
    assert tuple(run for array in arrays for run in array) == whole.runs


def test_runs_that_turn_out_not_to_stack_train_singly_with_the_reason():
    alone = program(3, 3).singly("torch.vmap refuses it")
    assert (alone.engine, alone.arrays, alone.reason) == (
        "single",
        (1, 1, 1),
        "torch.vmap refuses it",
    )


def test_a_plan_counts_its_runs():
    one, two = program(3, 3), replace(program(4, 4), number=2)
    assert Plan((one, two)).num_runs == 7
