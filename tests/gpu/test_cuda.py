"""What must hold on a CUDA device: the CPU's curves, no waiting inside a step, stacks of runs."""

import pytest
import torch

from optlab import registry, seeding
from optlab.cli import main
from optlab.init import he_normal_, initialize
from optlab.models.mlp import MLP
from optlab.nn import BatchNorm1d, ReLU
from optlab.nn.dropout import seed_dropout
from optlab.nn.losses import SparseCCE
from optlab.nn.metrics import accuracy
from optlab.optim.regularizers import Regularizer
from optlab.results import read_result
from optlab.tasks.base import Split
from optlab.train import FunctionalRun, Objective, initial_state, make_run_step
from tests.sweep.running import curve

pytestmark = [
    pytest.mark.gpu,
    # Said once per process by torch itself, when backward's thread meets cuBLAS first.
    pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS"),
]
CUDA = "cuda"
LOSS = SparseCCE()
OBJECTIVE = Objective(
    LOSS, lambda z, y: {"accuracy": accuracy(LOSS.predict(z), LOSS.labels(y))}, ("accuracy",)
)
ENTRIES = dict.fromkeys(entry for _, entry in registry.optimizers.items())  # names apart
FULL = Regularizer(l1=0.3, l2=0.5, decay=0.01, clip_norm=0.7, clip_value=0.2)

every_rule = pytest.mark.parametrize(
    "rule", [pytest.param(entry.rule, id=entry.__name__) for entry in ENTRIES]
)


def network(seed, dtype=torch.float64):
    module = MLP(5, (7, 6), 3, activation=ReLU, norm=BatchNorm1d, dropout=0.5)
    initialize(module, he_normal_, seed)
    seed_dropout(module, seed)
    return module.to(CUDA, dtype)


def data(dtype=torch.float64):
    stream = torch.Generator().manual_seed(0)
    x = torch.randn(40, 5, generator=stream, dtype=dtype)
    return Split(x, torch.randint(3, (40,), generator=stream)).to(torch.device(CUDA), dtype)


def batches(seed, steps):
    stream = torch.Generator().manual_seed(1000 + seed)
    return [torch.randperm(40, generator=stream)[:8].to(CUDA) for _ in range(steps)]


@pytest.fixture
def train(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(device, *overrides):
        where = tmp_path / device
        line = ["train", f"device={device}", f"hydra.run.dir={where}", "logger.console=false"]
        assert main([*line, *overrides]) == 0
        return where

    return run


@pytest.mark.parametrize("engine", ["functional", "plain"])
def test_a_run_on_cuda_has_the_curve_of_the_cpu(train, engine):
    """Float64 rounds sums in another order by 1e-16; one other mask or row would show in 1e-3."""
    settings = [
        "task=digits", "model.dropout=0.3", "norm=batchnorm", "regularizer=l2",
        "schedule=cosine", "trainer.epochs=3", "trainer.dtype=float64", f"trainer.engine={engine}",
    ]  # fmt: skip
    on_cpu, on_cuda = curve(train("cpu", *settings)), curve(train(CUDA, *settings))
    assert [row[:3] for row in on_cuda] == [row[:3] for row in on_cpu]
    values = [row[3] for row in on_cpu]
    assert [row[3] for row in on_cuda] == pytest.approx(values, rel=1e-7, abs=1e-10)


def test_the_result_names_the_device(train):
    result = read_result(train(CUDA, "task=xor", "trainer.epochs=2"))
    assert result.device == torch.cuda.get_device_name()


def test_dropout_draws_the_numbers_of_the_cpu():
    """Bitwise: integers, then a conversion of 24 bits and a power of two."""
    key, count = torch.tensor(seeding.stream_key(3, "dropout", "layer")), torch.tensor(7)
    here = seeding.uniform_at(key, count, (64, 33), torch.device("cpu"))
    there = seeding.uniform_at(key.to(CUDA), count.to(CUDA), (64, 33), torch.device(CUDA))
    assert torch.equal(there.cpu(), here)


@every_rule
@pytest.mark.parametrize("regularizer", [Regularizer(), FULL], ids=["plain", "regularized"])
# Torch calls the mode below a prototype, once.
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
def test_a_step_does_not_wait_for_the_device(rule, regularizer):
    """Torch raises where the host would wait; the first two steps may set libraries up."""
    run = FunctionalRun(
        network(0, torch.float32), OBJECTIVE, data(torch.float32), rule, rule.hyper(), regularizer
    )
    rows = batches(0, steps=6)
    for batch in rows[:2]:
        run.step(batch, 1.0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for batch in rows[2:]:
            run.step(batch, 0.5)
        run.step(None, 1.0)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def stacked(items):
    return torch.utils._pytree.tree_map(lambda *leaves: torch.stack(leaves), *items)


@every_rule
def test_each_run_of_a_stack_equals_the_run_alone(rule):
    """Float64 and 1e-10 after 50 updates: a batched product may add in another order."""
    seeds, lrs, l2s = (0, 1, 2), (0.001, 0.003, 0.01), (0.0, 0.1, 0.5)
    rows, hypers = data(), [rule.hyper(lr=lr) for lr in lrs]
    modules = [network(seed) for seed in seeds]
    step = torch.vmap(
        make_run_step(network(9), OBJECTIVE, rule, hypers[0], Regularizer(l2=0.1), len(rows))
    )
    values = {
        name: torch.tensor([getattr(h, name) for h in hypers], dtype=torch.float64, device=CUDA)
        for name in hypers[0].float_names()
    }
    values["l2"] = torch.tensor(l2s, dtype=torch.float64, device=CUDA)
    state = stacked([initial_state(m, rule, h) for m, h in zip(modules, hypers, strict=True)])
    runs = [
        FunctionalRun(m, OBJECTIVE, rows, rule, h, Regularizer(l2=l2))
        for m, h, l2 in zip(modules, hypers, l2s, strict=True)
    ]
    for order in zip(*(batches(seed, steps=50) for seed in seeds), strict=True):
        now = torch.stack(order)
        state, _ = step(state, values, (rows.x[now], rows.y[now]))
        for run, batch in zip(runs, order, strict=True):
            run.step(batch, 1.0)
    for r, run in enumerate(runs):
        for name, alone in run.module.state_dict().items():
            in_stack = {**state.params, **state.buffers}[name][r]
            torch.testing.assert_close(in_stack, alone, rtol=1e-10, atol=1e-10)
