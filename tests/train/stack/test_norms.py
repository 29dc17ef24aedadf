"""Norms of a stack, against the measurements of each run by itself."""

from dataclasses import replace

import pytest
import torch

from optlab.diagnostics.flow import MOST_TAGS
from optlab.train.measurements import Measurements
from optlab.train.stack.norms import StackNorms
from optlab.train.stack.sequential import Sequential
from tests.train.stack.configs import parts

RUNS = (("optimizer=adam",), ("optimizer=nag", "seed=1"), ("optimizer=muon",), ("seed=3",))
ROWS = torch.arange(8).repeat(len(RUNS), 1, 1)
FACTORS = torch.ones(len(RUNS), 1, dtype=torch.float64)


def stack(*common):
    """Return a stack after two updates, and what its first run is made of."""
    made = parts(common, RUNS, "blobs")
    backend = Sequential([each.run() for each in made])
    for _ in range(2):
        advance(backend)
    return backend, made[0]


def advance(backend):
    backend.advance(range(len(RUNS)), ROWS, FACTORS)


@pytest.mark.parametrize("left_out", ["none", "gradient_norms", "weight_norms", "update_ratios"])
def test_every_run_has_the_values_that_it_has_alone_to_the_last_bit(left_out):
    backend, first = stack("norm=batchnorm")
    wanted = first.diagnostics
    if left_out != "none":
        wanted = replace(wanted, **{left_out: False})
    alone = [Measurements(member, first.data, wanted) for member in backend.members]
    norms, runs = StackNorms(backend.members, wanted), range(len(RUNS))
    for _ in range(2):  # the second time into memory that was used before
        before = [each.weights_before() for each in alone]
        norms.before(runs)
        advance(backend)
        expected = [each.norms(b) for each, b in zip(alone, before, strict=True)]
        found = norms.after(runs)
        assert found == expected
        assert [list(own) for own in found] == [list(own) for own in expected]


def test_runs_that_have_left_change_nothing_for_the_others():
    backend, first = stack()
    norms = StackNorms(backend.members, first.diagnostics)
    norms.before(range(len(RUNS)))
    advance(backend)
    everyone = norms.after(range(len(RUNS)))
    norms.before([0, 1, 2, 3])
    with torch.no_grad():
        for member in backend.members:
            member.module.get_parameter("output.bias").add_(1.0)
    some = norms.after([1, 3])
    assert [own["gradient_norm/output.weight"] for own in some] == [
        everyone[run]["gradient_norm/output.weight"] for run in (1, 3)
    ]
    assert all(own["update_ratio/output.weight"] == 0.0 for own in some)
    assert all(own["update_ratio/output.bias"] > 0.0 for own in some)


def test_ratios_of_deep_networks_are_thinned_as_alone():
    backend, first = stack("model.hidden=[4,4,4,4,4,4,4]")
    alone = Measurements(backend.members[0], first.data, first.diagnostics)
    norms = StackNorms(backend.members, first.diagnostics)
    before = alone.weights_before()
    norms.before([0])
    advance(backend)
    (found,) = norms.after([0])
    assert sum(tag.startswith("update_ratio") for tag in found) == MOST_TAGS
    assert list(found) == list(alone.norms(before))
