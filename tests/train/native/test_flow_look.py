"""Looks at the flow of gradients by a program, against those by PyTorch."""

import math

import pytest
import torch

from optlab.diagnostics import Drift, gradient_flow
from optlab.train.measurements import flow_rows
from optlab.train.native import Native
from optlab.train.stack.loop import StackTraining
from tests.train.stack.configs import Kept, parts

NETWORKS = {
    "mlp": ("blobs", ()),
    "norm and dropout": ("blobs", ("norm=batchnorm", "model.dropout=0.3", "activation=tanh")),
    "zeros": ("blobs", ("init=zeros",)),
    "prelu": ("blobs", ("activation=prelu", "norm=layernorm")),
    "lstm": ("sequential_digits", ("model=lstm", "model.hidden=5")),
    "rnn": ("sequential_digits", ("model=rnn", "model.hidden=5")),
    "cnn": ("digits", ("model=small_cnn", "norm=batchnorm", "task.train_rows=200")),
}


def backend_of(common, each, task="blobs"):
    made = parts(("trainer.engine=native", *common), each, task)
    return Native(made, threads=1), made


def rows(count):
    return torch.arange(8).repeat(count, 3, 1)


@pytest.mark.parametrize("network", NETWORKS)
def test_it_sees_what_pytorch_sees_also_of_what_has_changed_since_the_last_look(network):
    task, common = NETWORKS[network]
    backend, (part,) = backend_of(common, ((),), task)
    (look,), (member,) = backend.looks, backend.members
    member.module.train()
    drift, twin = Drift(), Drift()
    for _ in range(3):
        state = {name: t.clone() for name, t in member.module.state_dict().items()}
        found = look.values(drift)
        expected = gradient_flow(
            member.module, part.objective.loss, *flow_rows(part.data.train), drift=twin
        )
        # Sums are taken in another order, of gradients that may nearly cancel.
        assert found == pytest.approx(expected, rel=2e-4, abs=1e-7, nan_ok=True)
        assert list(found) == list(expected)
        assert all(torch.equal(state[n], t) for n, t in member.module.state_dict().items())
        backend.advance([0], rows(1), torch.ones(1, 3, dtype=torch.float64))


def test_the_first_bad_place_is_named():
    backend, _ = backend_of((), ((),))
    with torch.no_grad():
        backend.members[0].module.get_parameter("output.bias")[0] = math.nan
    found = backend.looks[0].values(Drift())
    assert found["nonfinite/output"] == 1.0
    assert found["nonfinite"] >= 1


def test_a_run_goes_on_from_what_another_look_has_left():
    backend, _ = backend_of((), ((), ()))
    factors = torch.ones(2, 3, dtype=torch.float64)
    drifts, one = [Drift(), Drift()], Drift()
    for look, drift in zip(backend.looks, drifts, strict=True):
        look.values(drift)
    one.load(drifts[0].state(), torch.device("cpu"))
    one.sums = {name: sums.clone() for name, sums in one.sums.items()}
    backend.advance([0, 1], rows(2), factors)
    again = [
        look.values(drift) for look, drift in zip(backend.looks, (drifts[0], one), strict=True)
    ]
    assert again[0] == again[1]
    assert any(tag.startswith("drift/") for tag in again[0])


def records(each):
    made = parts(
        ("diagnostics.flow_every=3", "diagnostics.every=2", "trainer.epochs=2"), each, "blobs"
    )
    kept = Kept()
    StackTraining(made, Native(made, threads=1)).fit(kept)
    return kept.records


def test_a_run_alone_has_the_records_that_it_has_in_a_stack():
    each = (("seed=0",), ("seed=1", "optimizer.lr=0.01"), ("seed=2",))
    together = records(each)
    for run, own in enumerate(each):
        assert records((own,))[0] == together[run]
    assert any(tag.startswith("drift/") for *_, values in together[0] for tag in values)


@pytest.mark.parametrize("preset", ["economy", "full", "off"])
def test_looks_change_nothing_of_the_training(preset):
    def weights(*common):
        common = ("norm=batchnorm", "model.dropout=0.2", "trainer.epochs=3", *common)
        made = parts(common, (("seed=0",), ("seed=1",)), "blobs")
        backend = Native(made, threads=1)
        StackTraining(made, backend).fit(Kept())
        return [t for member in backend.members for t in member.module.state_dict().values()]

    looked = weights(f"diagnostics={preset}", "diagnostics.flow_every=2", "diagnostics.every=1")
    quiet = weights("diagnostics=off")
    assert all(torch.equal(a, b) for a, b in zip(looked, quiet, strict=True))


def test_nobody_compiles_what_nobody_looks_at():
    backend, _ = backend_of(("diagnostics=off",), ((),))
    assert backend.looks == []
