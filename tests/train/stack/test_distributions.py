"""Weights and gradients are handed on as they are, at a cadence that is bounded."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from optlab.train.native import Native
from optlab.train.stack.distributions import MOST_LOOKS, MOST_PARAMETERS, Distributions, cadence
from optlab.train.stack.loop import StackTraining
from optlab.train.stack.sequential import Sequential
from optlab.train.stack.vmapped import Vmapped
from tests.train.stack.configs import Kept, parts

#: 48 rows, one update per epoch.
FULL_BATCH = (
    *("task.rows=80", "trainer.batch_size=full", "trainer.epochs=9", "model.hidden=[6]"),
    *("diagnostics.histograms_every=1", "trainer.dtype=float64"),
)
BACKENDS = {
    "native": lambda made: Native(made, threads=1),
    "sequential": lambda made: Sequential([part.run() for part in made]),
    "vmapped": lambda made: Vmapped(made, is_compiled=False),
}


def looks_of(backend, *overrides, each=(("seed=0",), ("seed=1", "optimizer=nag"))):
    """Return the looks at each run, by update, and the runs."""
    made = parts((*FULL_BATCH, *overrides), each, "blobs")
    found = [{} for _ in made]

    def take(run, update, numbers):
        assert update not in found[run]
        found[run][update] = {tag: values.copy() for tag, values in numbers.items()}

    StackTraining(made, BACKENDS[backend](made)).fit(Kept(), numbers=take)
    return found, made


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_are_those_of_the_update_before_the_look(backend):
    (looks, _), (part, _) = looks_of(backend)
    assert list(looks) == list(range(10))
    assert not any(tag.startswith("gradients/") for tag in looks[0])
    for update in range(1, 10):
        weights = {
            name: torch.tensor(looks[update - 1][f"weights/{name}"], requires_grad=True)
            for name, _ in part.module.named_parameters()
        }
        output = torch.func.functional_call(part.module, weights, (part.data.train.x,))
        part.objective.loss(output, part.data.train.y).backward()
        for name, weight in weights.items():
            found = looks[update][f"gradients/{name}"]
            np.testing.assert_allclose(found, weight.grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_last_weights_are_those_that_the_run_ends_with(backend):
    looks, made = looks_of(backend)
    for own, part in zip(looks, made, strict=True):
        for name, weight in part.module.named_parameters():
            np.testing.assert_array_equal(own[9][f"weights/{name}"], weight.detach().numpy())


@pytest.mark.parametrize("backend", BACKENDS)
def test_looking_changes_no_bit_of_a_run(backend):
    def ends(every):
        made = parts(
            (*FULL_BATCH, f"diagnostics.histograms_every={every}"), (("seed=0",),), "blobs"
        )
        sink = Kept()
        training = StackTraining(made, BACKENDS[backend](made))
        training.fit(sink, numbers=lambda *look: None)
        return sink.records, made[0].module.state_dict()

    (records, weights), (expected, plain) = ends(2), ends(0)
    np.testing.assert_equal(records, expected)
    assert all(map(torch.equal, weights.values(), plain.values()))


def test_looks_come_at_the_cadence_that_was_asked_for():
    (looks, _), _ = looks_of("native", "diagnostics.histograms_every=4")
    assert list(looks) == [0, 4, 8]
    (looks, _), _ = looks_of("native", "diagnostics.histograms_every=0")
    assert not looks


def test_a_long_run_has_no_more_looks_than_are_told():
    for every, updates in ((1, 99), (1, 100), (1, 101), (7, 10_000), (100, 123_457), (5, 0)):
        found = cadence(every, updates)
        assert found % every == 0
        assert updates // found <= MOST_LOOKS
        assert found == every or updates // (found - every) > MOST_LOOKS
    assert cadence(0, 1000) == 0


def test_of_many_parameters_some_are_looked_at_evenly():
    @dataclasses.dataclass
    class Still:
        module: nn.Module

        def at_iterate(self):
            return torch.no_grad()

    model = nn.ParameterList(nn.Parameter(torch.zeros(1)) for _ in range(2 * MOST_PARAMETERS))
    found = []
    looks = Distributions([Still(model)], 1, 10, lambda run, update, own: found.append(own))
    looks.look([0], 0)
    places = [int(tag.removeprefix("weights/")) for tag in found[0]]
    assert len(places) == MOST_PARAMETERS
    assert (places[0], places[-1]) == (0, 2 * MOST_PARAMETERS - 1)
    assert set(np.diff(places)) <= {1, 2, 3}
