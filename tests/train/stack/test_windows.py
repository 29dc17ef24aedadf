"""Averages of a stack against those of one run, added one after another."""

import math

import numpy as np
import pytest
import torch

from optlab.train import Objective
from optlab.train.stack.windows import Windows
from optlab.train.standing import Diverged
from tests.train.stack.configs import Kept
from tests.train.stack.reference import Recorder

PER_EPOCH = 4
OBJECTIVE = Objective(lambda z, y: z, lambda z, y: {}, ("rmse",), roots=("rmse",))


def of_recorder(values, log_every):
    """Return the records of one run's values (K, 2), and the update and end at which it was cut."""
    records = []
    recorder = Recorder(OBJECTIVE, lambda *record: records.append(record), PER_EPOCH)
    try:
        for update, row in enumerate(values, start=1):
            recorder.add(list(torch.from_numpy(row)))
            if update % log_every == 0:
                recorder.flush(lr=0.5)
        recorder.flush(lr=0.5)
    except Diverged as diverged:
        return records, (update, str(diverged))
    return records, None


def of_windows(values, log_every, chunk):
    """Return the same of all runs' values (R, K, 2), taken ``chunk`` updates at a time."""
    sink, ends, active = Kept(), {}, list(range(len(values)))
    windows = Windows(OBJECTIVE, [0.5] * len(values), log_every, PER_EPOCH, sink)
    for start in range(0, values.shape[1], chunk):
        part = values[active, start : start + chunk].astype(np.float64)
        found = windows.add(active, part, np.ones(part.shape[:2]))
        ends |= {run: (update, str(bad)) for run, (update, bad) in found.items()}
        active = [run for run in active if run not in found]
    ends |= {run: (f.update, str(f.diverged)) for run, f in windows.flush(active).items()}
    return sink.records, ends


@pytest.mark.parametrize("log_every", [1, 3, 10, 100])
@pytest.mark.parametrize("chunk", [1, 4, 7, 23])
def test_records_and_ends_are_those_of_each_run_alone(log_every, chunk):
    values = np.random.default_rng(0).random((4, 23, 2), np.float32)
    values[1, 4, 0], values[2, 21, 0], values[3, 22, 0] = math.nan, math.inf, -math.inf
    found, ends = of_windows(values, log_every, chunk)
    for run, own in enumerate(values):
        records, end = of_recorder(own, log_every)
        np.testing.assert_equal(found[run], records)
        assert ends.get(run) == end


def test_a_metric_that_is_not_finite_ends_nothing():
    values = np.ones((1, 4, 2), np.float32)
    values[0, 1, 1] = math.inf
    _, ends = of_windows(values, 2, 4)
    assert ends == {}


def test_the_learning_rate_is_that_of_the_windows_last_update():
    sink = Kept()
    windows = Windows(OBJECTIVE, [0.5, 2.0], 2, PER_EPOCH, sink)
    factors = np.array([[1.0, 0.5, 0.25], [1.0, 0.1, 0.01]])
    windows.add([0, 1], np.ones((2, 3, 2)), factors)
    windows.flush([1])
    assert [values["lr"] for _, _, values in sink.records[0]] == [0.25]
    assert [values["lr"] for _, _, values in sink.records[1]] == [0.2, 0.02]
