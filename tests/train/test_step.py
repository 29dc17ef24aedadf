"""The engine's contract: the pure step, its stack under vmap and the in-place run are one."""

import math

import pytest
import torch
from torch import nn

from optlab import registry
from optlab.init import he_normal_, initialize
from optlab.models import Point
from optlab.models.mlp import MLP
from optlab.nn import BatchNorm1d, ReLU
from optlab.nn.dropout import seed_dropout
from optlab.nn.losses import SparseCCE
from optlab.nn.metrics import accuracy
from optlab.optim.regularizers import Regularizer
from optlab.tasks.base import Split
from optlab.train import FunctionalRun, Objective, PlainRun, initial_state, make_run_step
from tests.optim import transformed

LOSS = SparseCCE()
OBJECTIVE = Objective(
    LOSS, lambda z, y: {"accuracy": accuracy(LOSS.predict(z), LOSS.labels(y))}, ("accuracy",)
)
RULES = list(dict.fromkeys(entry for _, entry in registry.optimizers.items()))  # names apart
RULES += transformed.CLASSES
FULL = Regularizer(l1=0.3, l2=0.5, decay=0.01, clip_norm=0.7, clip_value=0.2)


def network(seed, dtype=torch.float64, norm=None, dropout=0.0):
    module = MLP(5, (7, 6), 3, activation=ReLU, norm=norm, dropout=dropout)
    initialize(module, he_normal_, seed)
    seed_dropout(module, seed)
    return module.to(dtype)


def rows(seed, num=40, dtype=torch.float64):
    stream = torch.Generator().manual_seed(seed)
    x = torch.randn(num, 5, generator=stream, dtype=dtype)
    return Split(x, torch.randint(3, (num,), generator=stream))


def batches(seed, steps, num=40, size=8):
    stream = torch.Generator().manual_seed(1000 + seed)
    return [torch.randperm(num, generator=stream)[:size] for _ in range(steps)]


def values_of(hyper):
    return {name: getattr(hyper, name) for name in hyper.float_names()}


@pytest.fixture(params=RULES, ids=lambda entry: entry.__name__)
def entry(request):
    return request.param


@pytest.fixture
def steady(entry):
    """An entry whose steps depend on rounding no more than gradients do."""
    if entry.needs_full_rank:
        pytest.skip(entry.needs_full_rank)
    return entry


@pytest.mark.parametrize("regularizer", [Regularizer(), FULL], ids=["plain", "regularized"])
def test_in_place_run_equals_the_pure_step(steady, regularizer):
    entry = steady
    rule, hyper = entry.rule, entry.rule.hyper(lr=0.05)
    data = rows(0)
    module = network(0)
    state = initial_state(module, rule, hyper)
    run_step = make_run_step(network(9), OBJECTIVE, rule, hyper, regularizer, len(data))
    run = FunctionalRun(module, OBJECTIVE, data, rule, hyper, regularizer)
    for batch in batches(0, steps=30):
        state, pure = run_step(state, values_of(hyper), (data.x[batch], data.y[batch]))
        in_place = run.step(batch, 1.0)
        torch.testing.assert_close(torch.stack(in_place), torch.stack(pure).to(torch.float64))
    for name, param in run.module.named_parameters():
        torch.testing.assert_close(param.detach(), state.params[name], rtol=1e-10, atol=1e-12)


def test_runs_of_a_point_equal_the_pure_step(entry):
    """The point's answer is a view of the parameter: values are of the point before the update."""
    rule, hyper = entry.rule, entry.rule.hyper(lr=0.05)
    noise = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    data = Split(torch.zeros(6, 1, dtype=torch.float64), noise)
    objective = Objective(
        lambda z, y: z.pow(4).sum(-1).mean() + (z * y).sum(-1).mean(),
        lambda z, y: {"mean": z.mean()},
        ("mean",),
    )
    points = [Point((1.0, -0.5), dtype=torch.float64) for _ in range(3)]
    state = initial_state(points[0], rule, hyper)
    run_step = make_run_step(points[0], objective, rule, hyper, Regularizer(), len(data))
    optimizer = entry.from_hyper(points[2].parameters(), hyper)
    runs = [
        FunctionalRun(points[1], objective, data, rule, hyper, Regularizer()),
        PlainRun(points[2], objective, data, optimizer, Regularizer()),
    ]
    for _ in range(10):
        state, pure = run_step(state, values_of(hyper), (data.x, data.y))
        for run in runs:
            torch.testing.assert_close(run.step(None, 1.0), pure, rtol=1e-12, atol=1e-12)
    for run in runs:
        moved = run.module.point.detach()
        torch.testing.assert_close(moved, state.params["point"], rtol=1e-12, atol=1e-12)
        assert (moved - torch.tensor([1.0, -0.5])).abs().min() > 0


def test_the_step_depends_on_its_state_and_not_on_the_module(entry):
    """The module may be evaluated, trained or spoiled in between."""
    rule, hyper, data = entry.rule, entry.rule.hyper(lr=0.05), rows(0)
    modules = [network(0, norm=BatchNorm1d, dropout=0.5) for _ in range(2)]
    modules[1].eval()
    state = initial_state(modules[0], rule, hyper)
    steps = [make_run_step(m, OBJECTIVE, rule, hyper, FULL, len(data)) for m in modules]
    with torch.no_grad():
        modules[1].output.weight.fill_(math.nan)
    results = [step(state, values_of(hyper), (data.x, data.y)) for step in steps]
    for a, b in zip(leaves(results[0]), leaves(results[1]), strict=True):
        assert torch.equal(a, b)
    assert results[0][0].buffers["hidden.0.norm.num_batches_tracked"] == 1
    steps[0](state, values_of(hyper), (data.x, data.y))
    assert modules[0].hidden[0].norm.num_batches_tracked == 0


def test_all_state_is_on_the_parameters_device(entry):
    """A step counter on the CPU could not be stacked with the rest; "meta" stands for CUDA."""
    module = network(0, norm=BatchNorm1d).to("meta")
    state = initial_state(module, entry.rule, entry.rule.hyper(lr=0.05))
    assert {leaf.device.type for leaf in leaves(state)} == {"meta"}


def test_a_float32_stack_stays_float32_under_float64_numbers(steady):
    """Every number per run, as a float64 tensor: none may widen a parameter, a state, a gradient.

    1e-4: a run alone takes its numbers as Python floats and lays its parameters end to end.
    """
    rule, data, lrs = steady.rule, rows(0, dtype=torch.float32), (0.001, 0.01)
    hypers = [rule.hyper(lr=lr) for lr in lrs]
    modules = [network(s, torch.float32, norm=BatchNorm1d, dropout=0.5) for s in (0, 1)]
    run_step = make_run_step(modules[0], OBJECTIVE, rule, hypers[0], FULL, len(data))
    numbers = [{**values_of(h), **vars(FULL)} for h in hypers]
    values = {n: torch.tensor([v[n] for v in numbers], dtype=torch.float64) for n in numbers[0]}
    state = stacked([stack_state(m, rule, h) for m, h in zip(modules, hypers, strict=True)])
    before = [leaf.dtype for leaf in leaves(state)]
    runs = [
        FunctionalRun(m, OBJECTIVE, data, rule, h, FULL)
        for m, h in zip(modules, hypers, strict=True)
    ]
    for order in zip(*(batches(seed, steps=5) for seed in (0, 1)), strict=True):
        now = torch.stack(order)
        state, measured = torch.vmap(run_step)(state, values, (data.x[now], data.y[now]))
        assert [leaf.dtype for leaf in leaves(state)] == before
        assert {value.dtype for value in measured} == {torch.float32}
        for run, batch in zip(runs, order, strict=True):
            run.step(batch, 1.0)
    # Numbers of a state beside its counter are float64: one per run, not one per element.
    assert torch.float64 not in [leaf.dtype for leaf in leaves(state) if leaf.ndim > 1]
    for r, run in enumerate(runs):
        for name, alone in run.module.named_parameters():
            in_stack = state.params[name][r]
            torch.testing.assert_close(in_stack, alone.detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("regularizer", [Regularizer(), FULL], ids=["plain", "regularized"])
def test_gradients_are_the_losses_own_in_both_engines(entry, regularizer):
    """Before penalties and clipping, at the weights before the update."""
    data, hyper = rows(0), entry.rule.hyper(lr=0.05)
    reference = network(0)
    OBJECTIVE.loss(reference(data.x), data.y).backward()
    functional = FunctionalRun(network(0), OBJECTIVE, data, entry.rule, hyper, regularizer)
    module = network(0)
    optimizer = entry.from_hyper(module.parameters(), hyper)
    plain = PlainRun(module, OBJECTIVE, data, optimizer, regularizer)
    for run in (functional, plain):
        run.step(None, 1.0)
        measured = run.gradients()
        for name, p in reference.named_parameters():
            torch.testing.assert_close(measured[name], p.grad, rtol=1e-12, atol=1e-12)


def leaves(tree):
    return torch.utils._pytree.tree_leaves(tree)


def test_pure_step_leaves_its_arguments_alone(entry):
    rule, hyper = entry.rule, entry.rule.hyper(lr=0.05)
    data, module = rows(0), network(0, norm=BatchNorm1d, dropout=0.5)
    state = initial_state(module, rule, hyper)
    before = [leaf.clone() for leaf in leaves(state)]
    run_step = make_run_step(module, OBJECTIVE, rule, hyper, FULL, len(data))
    after, _ = run_step(state, values_of(hyper), (data.x, data.y))
    assert all(torch.equal(a, b) for a, b in zip(before, leaves(state), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(before, leaves(after), strict=True))


def stack_state(module, rule, hyper):
    """Return the first state of a run whose numbers are tensors, as in a stack."""
    numbers = {n: torch.tensor(v, dtype=torch.float64) for n, v in values_of(hyper).items()}
    return initial_state(module, rule, hyper.with_values(**numbers))


def stacked(items):
    return torch.utils._pytree.tree_map(lambda *xs: torch.stack(xs), *items)


@pytest.mark.parametrize(
    ("norm", "dropout"), [(None, 0.0), (BatchNorm1d, 0.5)], ids=["plain", "norm_and_dropout"]
)
def test_each_run_of_a_stack_equals_the_run_alone(steady, norm, dropout):
    """Own weights, data order, learning rate, penalty and dropout stream per run, 200 updates.

    Float64 and 1e-12: a batched matrix product may add in another order than a single one. The
    learning rates are moderate, so that training does not magnify that rounding.
    """
    rule, data, seeds, lrs = steady.rule, rows(0), (0, 1, 2), (0.001, 0.003, 0.01)
    hypers = [rule.hyper(lr=lr) for lr in lrs]
    modules = [network(seed, norm=norm, dropout=dropout) for seed in seeds]
    regularizer = Regularizer(l2=0.1)
    template = network(9, norm=norm, dropout=dropout)
    run_step = make_run_step(template, OBJECTIVE, rule, hypers[0], regularizer, len(data))
    stack_step = torch.vmap(run_step)
    values = {
        name: torch.tensor([getattr(h, name) for h in hypers], dtype=torch.float64)
        for name in hypers[0].float_names()
    }
    values["l2"] = torch.tensor([0.0, 0.1, 0.5], dtype=torch.float64)
    state = stacked([stack_state(m, rule, h) for m, h in zip(modules, hypers, strict=True)])
    runs = [
        FunctionalRun(m, OBJECTIVE, data, rule, h, Regularizer(l2=float(l2)))
        for m, h, l2 in zip(modules, hypers, values["l2"], strict=True)
    ]
    for order in zip(*(batches(seed, steps=200) for seed in seeds), strict=True):
        rows_now = torch.stack(order)
        state, _ = stack_step(state, values, (data.x[rows_now], data.y[rows_now]))
        for run, batch in zip(runs, order, strict=True):
            run.step(batch, 1.0)
    for r, run in enumerate(runs):
        for name, alone in run.module.state_dict().items():
            in_stack = {**state.params, **state.buffers}[name][r]
            torch.testing.assert_close(in_stack, alone, rtol=1e-12, atol=1e-12)


def test_functional_and_plain_engines_train_alike(entry):
    """Float64; the plain engine runs the same rule as a torch optimizer over separate tensors."""
    data, hyper = rows(0), entry.rule.hyper(lr=0.05)
    functional = FunctionalRun(network(0), OBJECTIVE, data, entry.rule, hyper, FULL)
    module = network(0)
    optimizer = entry.from_hyper(module.parameters(), hyper)
    plain = PlainRun(module, OBJECTIVE, data, optimizer, FULL)
    for i, batch in enumerate(batches(0, steps=50)):
        factor = 1.0 if i < 25 else 0.1
        functional.step(batch, factor)
        plain.step(batch, factor)
    with functional.at_iterate(), plain.at_iterate():
        for a, b in zip(functional.module.parameters(), module.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_a_run_equals_the_loop_everybody_writes():
    """Against plain torch.nn and torch.optim in float64, 200 updates, <= 1e-12."""
    data = rows(0)
    ours = network(0)
    theirs = nn.Sequential(
        nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 6), nn.ReLU(), nn.Linear(6, 3)
    ).double()
    with torch.no_grad():
        for a, b in zip(theirs.parameters(), ours.parameters(), strict=True):
            a.copy_(b)
    rule = registry.optimizers.get("adam").rule
    run = FunctionalRun(ours, OBJECTIVE, data, rule, rule.hyper(lr=0.01), Regularizer())
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.01)
    for batch in batches(0, steps=200):
        run.step(batch, 1.0)
        optimizer.zero_grad()
        nn.functional.cross_entropy(theirs(data.x[batch]), data.y[batch]).backward()
        optimizer.step()
    for a, b in zip(theirs.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_penalties_and_decay_leave_biases_alone():
    module = network(0)
    rule = registry.optimizers.get("sgd").rule
    strong = Regularizer(l2=100.0, decay=0.5)
    run = FunctionalRun(module, OBJECTIVE, rows(0), rule, rule.hyper(lr=0.0), strong)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    run.step(None, 1.0)
    # lr = 0: the decay step is lr * decay, so nothing moves at all.
    assert all(torch.equal(before[n], p.detach()) for n, p in module.named_parameters())
    run = FunctionalRun(module, OBJECTIVE, rows(0), rule, rule.hyper(lr=1e-3), strong)
    bare = network(0)
    other = FunctionalRun(bare, OBJECTIVE, rows(0), rule, rule.hyper(lr=1e-3), Regularizer())
    run.step(None, 1.0)
    other.step(None, 1.0)
    for (name, a), b in zip(module.named_parameters(), bare.parameters(), strict=True):
        assert torch.equal(a, b) == (a.ndim < 2), name


# Python 3.13.0 alone makes the compiler's checks slower, which says nothing about the step.
one_graph = pytest.mark.filterwarnings("ignore:Guards may run slower:RuntimeWarning")


@one_graph
def test_the_stacked_rule_is_one_graph_for_the_compiler(entry):
    """Traced without a break (fullgraph); six updates, since one would not show a lost counter."""
    torch._dynamo.reset()  # every rule compiles the same function, 8 times at most in a process
    rule, hyper = entry.rule, entry.rule.hyper(lr=0.01)

    def update(grad, param, state, values):
        return rule.update(grad, param, state, hyper.with_values(**values))

    params = [torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(2, 3) * k for k in (1, 2)]
    values = per_run(hyper, runs=2)
    ours = theirs = stacked([(p, rule.init_state(p, hyper)) for p in params])
    eager = torch.vmap(update)
    compiled = torch.compile(eager, backend="aot_eager", fullgraph=True)
    for step in range(6):
        grads = torch.randn(2, 2, 3, generator=torch.Generator().manual_seed(step)).double()
        ours, theirs = compiled(grads, *ours, values), eager(grads, *theirs, values)
    for a, b in zip(leaves(ours), leaves(theirs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@one_graph
@pytest.mark.parametrize("entry", RULES[:1], ids=lambda entry: entry.__name__)
def test_the_stacked_step_is_one_graph_for_the_compiler(entry):
    """The whole update, with normalization, dropout and every regularizer."""
    rule, hyper, data = entry.rule, entry.rule.hyper(lr=0.01), rows(0)
    module = network(9, norm=BatchNorm1d, dropout=0.5)
    run_step = make_run_step(module, OBJECTIVE, rule, hyper, FULL, len(data))
    modules = [network(s, norm=BatchNorm1d, dropout=0.5) for s in (0, 1)]
    states = [stack_state(m, rule, hyper) for m in modules]
    values = per_run(hyper, runs=2)
    eager = torch.vmap(run_step)
    compiled = torch.compile(eager, backend="aot_eager", fullgraph=True)
    ours = theirs = stacked(states)
    for batch in batches(0, steps=6):
        both = (data.x[batch].expand(2, -1, -1), data.y[batch].expand(2, -1))
        ours, _ = compiled(ours, values, both)
        theirs, _ = eager(theirs, values, both)
    for a, b in zip(leaves(ours), leaves(theirs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def per_run(hyper, runs):
    return {
        name: torch.full((runs,), getattr(hyper, name), dtype=torch.float64)
        for name in hyper.float_names()
    }
