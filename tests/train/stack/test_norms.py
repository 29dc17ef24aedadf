"""Norms of a stack, against those of each run by itself, and against PyTorch's in double."""

import math
from dataclasses import replace

import pytest
import torch

from optlab.diagnostics.flow import MOST_TAGS
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


def iterate(member):
    """Return the weights to evaluate, in double."""
    with member.at_iterate():
        named = member.module.named_parameters()
        return {name: p.detach().double().clone() for name, p in named}


def by_torch(member, before):
    """The twin: one tensor after another."""
    after = iterate(member)
    grads = {name: g.double().norm() for name, g in member.gradients().items()}
    ratios = {name: (after[name] - old).norm() / old.norm() for name, old in before.items()}
    kinds = {
        "gradient_norm": grads,
        "weight_norm": {name: w.norm() for name, w in after.items()},
        "update_ratio": ratios,
    }
    return {f"{kind}/{n}": float(v) for kind, own in kinds.items() for n, v in own.items()}


@pytest.mark.parametrize("left_out", ["none", "gradient_norms", "weight_norms", "update_ratios"])
def test_every_run_has_the_values_that_it_has_alone_to_the_last_bit(left_out):
    backend, first = stack("norm=batchnorm")
    wanted = first.diagnostics
    if left_out != "none":
        wanted = replace(wanted, **{left_out: False})
    alone = [StackNorms([member], wanted) for member in backend.members]
    norms, runs = StackNorms(backend.members, wanted), range(len(RUNS))
    for _ in range(2):  # the second time into memory that was used before
        before = [iterate(member) for member in backend.members]
        for each in (norms, *alone):
            each.before(runs if each is norms else [0])
        advance(backend)
        found = norms.after(runs)
        assert found == [each.after([0])[0] for each in alone]
        for own, member, old in zip(found, backend.members, before, strict=True):
            twin = by_torch(member, old)
            expected = {t: v for t, v in twin.items() if f"{t.partition('/')[0]}s" != left_out}
            assert own == pytest.approx(expected, rel=1e-6)  # weights are in single precision
            assert list(own) == list(expected)


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


def test_ratios_of_deep_networks_are_thinned():
    backend, first = stack("model.hidden=[4,4,4,4,4,4,4]")
    norms = StackNorms(backend.members, first.diagnostics)
    norms.before([0])
    advance(backend)
    (found,) = norms.after([0])
    ratios = [tag for tag in found if tag.startswith("update_ratio")]
    assert len(ratios) == MOST_TAGS
    assert (ratios[0], ratios[-1]) == (
        "update_ratio/hidden.0.linear.weight",
        "update_ratio/output.bias",
    )


def test_weights_that_were_0_have_no_ratio():
    backend, first = stack()
    norms = StackNorms(backend.members, first.diagnostics)
    weight, bias = (
        backend.members[0].module.get_parameter(f"output.{k}") for k in ("weight", "bias")
    )
    with torch.no_grad():
        weight.zero_()
        bias.zero_()
    norms.before([0])
    with torch.no_grad():
        weight.fill_(1.0)
    (found,) = norms.after([0])
    assert found["update_ratio/output.weight"] == math.inf
    assert math.isnan(found["update_ratio/output.bias"])
