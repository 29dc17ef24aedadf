"""Which runs share a program: properties of the grouping, and what becomes of each group."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optlab.config import ConfigError
from optlab.sweep import memory
from optlab.sweep.plan import MOST_RUNS, grouped, plan
from optlab.train.stack.vmapped import NotStackable
from tests.sweep.planning import planned, planned_all

OWN = {
    "seed": [0, 1, 2],
    "optimizer__lr": [0.1, 0.01],
    "activation": [{"name": "relu"}, {"name": "leaky_relu", "slope": 0.1}],
    "trainer__patience": [None, 2],
    "regularizer__l2": [0.0, 1.0],
    "schedule__warmup": [0.0, 0.5],
}
SPLITTING = {
    "model__hidden": [[4], [8]],
    "trainer__batch_size": [16, 32],
    "model__dropout": [0.0, 0.5],
    "optimizer__name": ["adam", "foreign"],
}
values = {key: st.sampled_from(options) for key, options in (OWN | SPLITTING).items()}
SWEEPS = st.lists(st.fixed_dictionaries(values), min_size=1, max_size=12)


def numbers(groups):
    return [[run.number for run in group.runs] for group in groups]


@given(SWEEPS)
def test_every_run_is_in_exactly_one_group_in_order(changes):
    found = numbers(grouped(planned_all(*changes)))
    assert sorted(number for group in found for number in group) == list(range(len(changes)))
    assert all(group == sorted(group) for group in found)
    assert found == sorted(found)


@given(SWEEPS, st.randoms())
def test_the_order_in_which_runs_are_given_does_not_count(changes, random):
    runs = planned_all(*changes)
    shuffled = random.sample(runs, len(runs))
    assert grouped(shuffled) == grouped(runs)


@given(SWEEPS)
def test_runs_share_a_group_if_and_only_if_they_agree_in_what_splits(changes):
    found = {n: i for i, group in enumerate(numbers(grouped(planned_all(*changes)))) for n in group}
    for i, one in enumerate(changes):
        for j, other in enumerate(changes[:i]):
            agree = all(one[key] == other[key] for key in SPLITTING)
            assert (found[i] == found[j]) == agree


@given(SWEEPS)
def test_what_sets_groups_apart_tells_them_apart(changes):
    groups = grouped(planned_all(*changes))
    assert len({repr(group.apart) for group in groups}) == len(groups)


def test_what_sets_groups_apart_is_named_with_each_ones_value():
    groups = grouped(planned_all({"model__hidden": [64]}, {"model__hidden": [128]}))
    assert [group.apart for group in groups] == [{"model.hidden": [64]}, {"model.hidden": [128]}]
    assert grouped([planned()])[0].apart == {}


def test_the_way_a_number_is_written_and_the_order_of_options_do_not_count():
    model = planned().config["model"]
    reordered = dict(reversed(model.items()))
    runs = planned_all({"model": reordered}, {"model__dropout": 0}, {"model__dropout": 0.0})
    assert len(grouped(runs)) == 1


def test_grouping_imports_no_torch():
    code = (
        "import sys, optlab.sweep.plan, optlab.sweep.plan_text; assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def seeds(count, **changed):
    return planned_all(*({"seed": seed, **changed} for seed in range(count)))


def test_runs_that_can_be_stacked_are_divided_by_memory():
    (whole,) = plan(seeds(10), "eager", budget=10**9).programs
    footprint = whole.footprint
    assert (whole.engine, whole.arrays) == ("eager", (10,))
    (divided,) = plan(seeds(10), "eager", budget=footprint.of(4)).programs
    assert divided.arrays == (4, 3, 3)
    (least,) = plan(seeds(3), "eager", budget=0).programs
    assert least.arrays == (1, 1, 1)


def test_an_array_is_never_larger_than_the_machines_memory_stands(monkeypatch):
    monkeypatch.setitem(MOST_RUNS, "eager", 3)
    (program,) = plan(seeds(10), "eager", budget=10**12).programs
    assert program.arrays == (3, 3, 2, 2)


def test_every_worker_finds_an_array():
    runs = [*seeds(8), planned(8, model__hidden=[8])]
    programs = plan(runs, "eager", workers=4, budget=10**9).programs
    assert [program.arrays for program in programs] == [(2, 2, 2, 2), (1,)]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"optimizer": {"name": "foreign", "target": "torch.optim.SGD", "lr": 0.1}}, "foreign"),
        ({"trainer__engine": "plain"}, "trainer.engine=plain"),
    ],
)
def test_what_cannot_be_stacked_trains_singly_beside_the_rest(changed, reason):
    runs = [*seeds(2), *(planned(i, seed=i, **changed) for i in (2, 3))]
    stacked, alone = plan(runs, "eager", budget=10**9).programs
    assert (stacked.engine, stacked.reason) == ("eager", "")
    assert (alone.engine, alone.arrays, alone.footprint) == ("single", (1, 1), None)
    assert reason in alone.reason


def test_nothing_is_measured_where_nothing_is_stacked(monkeypatch):
    monkeypatch.setattr(memory, "measure", None)
    (program,) = plan(seeds(3), "single").programs
    assert (program.engine, program.reason) == ("single", "sweep.engine=single")


def test_what_vmap_refuses_trains_singly_with_its_reason(monkeypatch):
    def refused(runs, vmapped):
        raise NotStackable("torch.vmap refuses the network or the rule: .item()")

    monkeypatch.setattr(memory, "measure", refused)
    (program,) = plan(seeds(3), "compiled").programs
    assert (program.engine, program.arrays) == ("single", (1, 1, 1))
    assert program.reason.endswith(".item()")


def test_a_run_that_cannot_be_made_is_named_before_anything_trains():
    with pytest.raises(ConfigError, match=r"run run0: .*norm=batchnorm would do nothing"):
        plan([planned(0, "model=linear", "norm=batchnorm")], "eager")


def test_no_runs_are_no_programs():
    assert plan([]).programs == ()


def test_numbers_follow_the_first_runs():
    runs = planned_all(*({"model__hidden": [width]} for width in (4, 8, 4, 2)))
    programs = plan(runs, "single").programs
    assert [(p.number, [run.number for run in p.runs]) for p in programs] == [
        (1, [0, 2]),
        (2, [1]),
        (3, [3]),
    ]
