"""What is kept of records: evenly spaced ones and the last, and the same after a resume."""

import io

import numpy as np
import pytest
import torch

from optlab.diagnostics.verdicts import Histories
from optlab.diagnostics.verdicts.thinned_series import MOST

TAGS = ("loss/train", "accuracy/train", "lr")


def fill(histories, count, start=0, runs=(0,)):
    for i in range(start, start + count):
        for run in runs:
            histories.log(run, 10 * i, i / 5, {"loss/train": float(i + run), "lr": 0.1})


def same(one, other):
    assert {*one.curves} == {*other.curves}
    for tag, curve in one.curves.items():
        np.testing.assert_array_equal(curve.updates, other[tag].updates)
        np.testing.assert_array_equal(curve.values, other[tag].values)


@pytest.mark.parametrize("count", [1, 2, 3, MOST - 1, MOST, MOST + 1, 1000, 4097])
def test_few_records_are_kept_and_of_many_evenly_spaced_ones_and_the_last(count):
    histories = Histories()
    fill(histories, count)
    updates, values = histories.history()["loss/train"]
    assert len(updates) <= MOST + 1
    assert len(updates) == count or len(updates) > MOST // 2
    assert updates[0] == 0
    assert updates[-1] == 10 * (count - 1)
    assert len({*np.diff(updates[:-1])}) <= 1
    np.testing.assert_array_equal(values, updates / 10)


def test_tags_that_no_rule_reads_are_not_kept():
    histories = Histories()
    histories.log(0, 0, 0.0, {"lr": 0.1, "weight_norm/w": 1.0, "point/x0": 1.0})
    histories.log(0, 0, 0.0, {"lr": 0.1, "dead/activation": 0.5})
    assert {*histories.history().curves} == {"dead/activation"}


def test_blocks_of_runs_that_leave_are_kept_as_single_records_are():
    rng, count = np.random.default_rng(0), 700
    values = rng.normal(size=(3, count, len(TAGS)))
    together, apart = Histories(3), Histories(3)
    at = 0
    for size in rng.integers(1, 9, count).tolist():
        runs = [0, 1, 2] if at < 200 else [0, 2] if at < 450 else [2]
        size = min(size, count - at)
        ends = [*range(at, at + size)]
        if not ends:
            break
        together.log_block(runs, ends, [0.0] * size, TAGS, values[runs, at : at + size])
        for run in runs:
            for k in ends:
                apart.log(run, k, 0.0, dict(zip(TAGS, values[run, k].tolist(), strict=True)))
        at += size
    for run in range(3):
        same(together.history(run), apart.history(run))
    assert len(together.history(2)["loss/train"].values) > MOST // 2


@pytest.mark.parametrize("stop", [0, 1, 63, 64, 200, 999])
def test_a_run_that_is_resumed_keeps_what_an_uninterrupted_one_keeps(stop):
    whole, before, after = Histories(2), Histories(2), Histories(2)
    fill(whole, 1000, runs=(0, 1))
    fill(before, stop, runs=(0, 1))
    file = io.BytesIO()
    torch.save(before.state(), file)
    file.seek(0)
    after.load(torch.load(file, weights_only=True), [0, 1])
    fill(after, 1000 - stop, start=stop, runs=(0, 1))
    for run in (0, 1):
        same(whole.history(run), after.history(run))


def test_runs_can_be_taken_up_without_those_that_have_ended():
    whole, rest = Histories(3), Histories(2)
    fill(whole, 300, runs=(0, 1, 2))
    rest.load(whole.state(), [2, 0])
    same(rest.history(0), whole.history(2))
    same(rest.history(1), whole.history(0))


def test_a_state_does_not_change_with_what_comes_after():
    histories = Histories()
    fill(histories, 5)
    state = histories.state()
    fill(histories, 5, start=5)
    kept = Histories()
    kept.load(state, [0])
    assert kept.history()["loss/train"].updates[-1] == 40


def test_a_tag_that_came_beside_different_others_is_one_curve_in_order():
    histories = Histories()
    histories.log(0, 0, 0.0, {"saturated/a": 0.1})
    histories.log(0, 10, 1.0, {"saturated/a": 0.2, "dead/a": 0.0})
    histories.log(0, 20, 2.0, {"saturated/a": 0.3})
    np.testing.assert_array_equal(histories.history()["saturated/a"].values, [0.1, 0.2, 0.3])


def test_nan_and_infinity_are_kept():
    histories = Histories()
    histories.log(0, 0, 0.0, {"loss/train": float("nan")})
    histories.log(0, 1, 0.0, {"loss/train": float("inf")})
    np.testing.assert_array_equal(histories.history()["loss/train"].values, [np.nan, np.inf])


def test_memory_of_many_runs_is_bounded():
    histories = Histories(50)
    block = np.zeros((50, 100, 2))
    for i in range(50):
        updates = [*range(100 * i, 100 * i + 100)]
        histories.log_block(range(50), updates, [0.0] * 100, ("loss/train", "loss/val"), block)
    (series,) = histories.state()["series"]
    assert series["values"].shape == (50, MOST, 2)
