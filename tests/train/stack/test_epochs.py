"""What a stack's runs are given in an epoch."""

import pytest
import torch

from optlab.config.schema import DiagnosticsConfig
from optlab.optim.schedules import Constant, Cosine
from optlab.train import Sampler
from optlab.train.stack.epochs import Factors, rows_of_epoch, stretches

CPU = torch.device("cpu")


@pytest.mark.parametrize("order", ["shuffle", "replacement", "sequential"])
def test_rows_are_those_of_each_runs_own_sampler(order):
    samplers = [Sampler(10, 4, order, seed, CPU) for seed in (3, 1, 3)]
    rows = rows_of_epoch(samplers, 2)
    expected = [torch.cat(list(sampler.epoch(2))) for sampler in samplers]
    assert torch.equal(rows, torch.stack(expected))


def test_all_rows_in_order_need_no_numbers():
    assert rows_of_epoch([Sampler(10, 10, "shuffle", seed, CPU) for seed in (0, 1)], 0) is None


def test_factors_are_those_of_each_runs_own_schedule_bit_for_bit():
    calls = []

    def plugin(update, num_updates):
        calls.append(update)
        return 1 - update / num_updates

    schedules = [Cosine(final=0.1).factor, plugin, Cosine(final=0.1).factor, Constant().factor]
    factors = Factors(schedules, 30).between(10, 20, [0, 1, 2, 3])
    expected = [[schedule(update, 30) for update in range(10, 20)] for schedule in schedules]
    assert factors.dtype == torch.float64
    assert factors.tolist() == expected
    assert Factors(schedules, 30).between(10, 20, [1, 3]).tolist() == [expected[1], expected[3]]


def test_runs_with_one_schedule_compute_it_once():
    calls = []

    def plugin(update, num_updates):
        calls.append(update)
        return 1.0

    Factors([plugin] * 5, 30).between(0, 10, range(5))
    assert calls == list(range(10))


def test_an_epoch_is_one_stretch_where_nobody_looks():
    quiet = DiagnosticsConfig(every=0, flow_every=0)
    assert stretches(34, 68, quiet, short=False) == [(34, 68)]
    assert stretches(34, 68, quiet, short=True) == [(34, 67), (67, 68)]


def test_a_look_at_the_flow_comes_before_its_update_and_norms_around_theirs():
    assert stretches(0, 10, DiagnosticsConfig(every=0, flow_every=4), short=False) == [
        *((0, 4), (4, 8), (8, 10)),
    ]
    assert stretches(4, 10, DiagnosticsConfig(every=5, flow_every=0), short=False) == [
        *((4, 5), (5, 9), (9, 10)),
    ]
    everything = DiagnosticsConfig(every=1, flow_every=3)
    assert stretches(7, 10, everything, short=True) == [(7, 8), (8, 9), (9, 10)]


def test_windows_end_stretches_where_runs_have_to_stop_there():
    quiet = DiagnosticsConfig(every=0, flow_every=0)
    assert stretches(8, 16, quiet, short=False, log_every=5) == [(8, 10), (10, 15), (15, 16)]
    assert stretches(8, 16, quiet, short=False, log_every=100) == [(8, 16)]
