"""Losses that are no numbers: such a run has its result, and its neighbours never notice."""

import math

import pytest

from optlab.cli import main
from optlab.results import read_result
from tests.sweep.faults.sweeps import MODEL, STACK, states, swept


@pytest.mark.parametrize("call", [1, 6])
def test_a_run_whose_loss_becomes_nan_diverges_there_and_is_a_result(plugin, folder, call):
    words = [*MODEL, "model.fault=none,nans", f"model.call={call}", "trainer.log_every=1"]
    words += ["diagnostics.every=0", "diagnostics.flow_every=0"]  # their looks are calls, too
    assert main(swept("s", *words)) == 0
    assert states(folder / "s") == {"fault=none": "done", "fault=nans": "diverged"}
    found = read_result(folder / "s" / "fault=nans")
    assert found.cause.startswith("the training loss became nan")
    assert found.updates == call


def test_its_neighbours_in_a_stack_end_as_without_it(plugin, folder):
    words = [*STACK, "loss=mse", "optimizer=minibatch_gd"]
    assert main(swept("with", *words, "optimizer.lr=0.1,1e30,0.2")) == 0
    assert main(swept("without", *words, "optimizer.lr=0.1,0.3,0.2")) == 0
    assert states(folder / "with")["lr=1e+30"] == "diverged"
    assert not math.isfinite(read_result(folder / "with" / "lr=1e+30").train["loss"])
    for name in ("lr=0.1", "lr=0.2"):
        found, expected = (read_result(folder / sweep / name) for sweep in ("with", "without"))
        assert (found.train, found.val, found.test) == (expected.train, expected.val, expected.test)
