"""Memory of a stack: the estimate from one run, against PyTorch's own account of many."""

import subprocess
import sys
from functools import partial

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from optlab import registry
from optlab.build import parts_of
from optlab.sweep.engine import missing_compiler
from optlab.sweep.memory import available_ram, budget, last_cache, measure
from optlab.train.native import Native
from optlab.train.stack.vmapped import NotStackable, Vmapped
from tests.sweep.planning import planned

EAGER = partial(Vmapped, is_compiled=False)
CASES = [
    ["model.hidden=[32,32]"],
    ["norm=batchnorm", "model.dropout=0.3", "optimizer=soap"],
    ["optimizer=muon", "regularizer=l2", "regularizer.clip_norm=1"],
    ["task.features=16", "model=small_cnn"],
]


def allocated(function):
    """Return the most bytes that the allocator had given out at once."""
    with profile(
        acc_events=True, activities=[ProfilerActivity.CPU], profile_memory=True
    ) as profiler:
        kept = function()
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    del kept
    return most


def trained_as_a_stack(config, num_runs, backend=EAGER):
    """Make a stack, two updates and an evaluation of it, and return it."""
    first = parts_of(config)
    runs = range(num_runs)
    stack = backend([parts_of(config, like=first) for _ in runs])
    rows = torch.arange(first.sampler.batch_size).repeat(num_runs, 2, 1)
    stack.advance(runs, rows, torch.ones(num_runs, 2, dtype=torch.float64))
    stack.evaluate(runs, first.data.train)
    return stack


@pytest.mark.parametrize("overrides", CASES, ids="-".join)
def test_the_estimate_is_one_to_two_times_what_a_run_more_takes_of_the_allocator(overrides):
    """A tenth less at most: kernels may keep what operations do not show.

    More, because a stack may give its gradients back before the rule is done.
    """
    run = planned(0, *overrides)
    footprint, updates = measure([run], vmapped=True)
    trained_as_a_stack(run.config, 2)  # what is made once in a process is not counted
    few, many = (allocated(lambda n=n: trained_as_a_stack(run.config, n)) for n in (4, 12))
    assert 0.9 <= footprint.run / ((many - few) / 8) <= 2.0
    assert updates == parts_of(run.config).num_updates


@pytest.mark.skipif(bool(missing_compiler()), reason="no C compiler")
def test_of_runs_in_turns_the_estimate_is_one_to_two_times_what_a_run_more_takes():
    run = planned(0, "model.hidden=[128,128]")
    stack = partial(trained_as_a_stack, run.config, backend=partial(Native, threads=1))
    stack(2)
    few, many = (allocated(lambda n=n: stack(n)) for n in (4, 12))
    assert 0.9 <= measure([run], vmapped=False)[0].run / ((many - few) / 8) <= 2.0


def test_what_a_run_keeps_is_counted_exactly_and_turns_add_nothing():
    run = planned(0, "optimizer=adam", "model.hidden=[7]")
    footprint, _ = measure([run], vmapped=False)
    num_params = sum(p.numel() for p in parts_of(run.config).module.parameters())
    counters = 4  # one step number for each of four tensors
    weights, module, gradients, means = num_params, num_params, num_params, 2 * num_params
    assert footprint.run == 4 * (weights + module + gradients + means + counters)


def test_the_optimizer_with_most_state_decides():
    def kept(*names):
        return measure([planned(0, f"optimizer={name}") for name in names], False)[0].run

    assert kept("minibatch_gd") < kept("momentum") < kept("adam")
    assert kept("minibatch_gd", "adam", "momentum") == kept("adam")


def test_state_that_comes_with_a_number_above_zero_is_found():
    runs = [planned(0, "optimizer=rmsprop", optimizer__momentum=m) for m in (0.0, 0.9)]
    with_sum = measure(runs, False)[0].run
    assert measure(runs[:1], False)[0].run < with_sum == measure(runs[1:], False)[0].run


def test_the_best_weights_are_kept_beside_where_a_run_returns_to_them():
    stopping = {"trainer__patience": 3, "trainer__restore_best": True}
    plain, best = (measure([planned(0, **options)], False)[0] for options in ({}, stopping))
    weights = sum(p.numel() * 4 for p in parts_of(planned().config).module.parameters())
    assert best.run - plain.run == weights


def test_what_an_array_has_once_is_at_least_the_data():
    parts = parts_of(planned().config)
    splits = (parts.data.train, parts.data.val, parts.data.test)
    data = sum(part.nbytes for split in splits for part in (split.x, split.y))
    assert measure([planned()], vmapped=True)[0].shared == data
    assert measure([planned()], vmapped=False)[0].shared > data


class Asking(nn.Module):
    """A model that looks at its numbers, which no stack allows."""

    def __init__(self, features, outputs):
        super().__init__()
        self.linear = nn.Linear(features, outputs)

    def forward(self, x):
        z = self.linear(x.flatten(1))
        return z if float(z.detach().sum()) < 1e9 else -z


def test_a_model_that_vmap_refuses_is_refused_in_a_stack_and_not_in_turns(monkeypatch):
    def build(context):
        return Asking(context.num_inputs, context.num_outputs)

    monkeypatch.setattr(registry.models, "create", lambda *given: build)
    with pytest.raises(NotStackable, match=r"torch\.vmap refuses the network or the rule"):
        measure([planned()], vmapped=True)


def test_a_measurement_leaves_the_global_generator_as_it_was():
    before = torch.get_rng_state()
    measure([planned(0, "model.dropout=0.3")], vmapped=True)
    assert torch.equal(torch.get_rng_state(), before)


IMPORTS = """
import sys
from optlab.sweep.memory import measure
from tests.sweep.planning import planned
measure([planned(0, "norm=batchnorm", "model.dropout=0.3")], vmapped=False)
print([name for name in ("torch._dynamo", "torch._inductor") if name in sys.modules])
"""


def test_measuring_runs_in_turns_does_not_import_pytorchs_compiler():
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_budgets_are_shares_of_what_there_is():
    cpu = torch.device("cpu")
    assert 0 < budget(cpu, vmapped=False) < available_ram()
    assert budget(cpu, vmapped=True) <= last_cache()
    halves = budget(cpu, False, workers=2), budget(cpu, False) // 2
    assert halves[0] == pytest.approx(halves[1], rel=0.2)  # others use the machine meanwhile


def test_on_cuda_workers_of_one_device_share_what_is_free(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 2000))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    device = torch.device("cuda", 0)
    assert [budget(device, True, workers) for workers in (1, 2, 3, 4)] == [800, 800, 400, 400]
