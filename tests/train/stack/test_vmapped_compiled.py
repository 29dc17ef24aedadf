"""Compiled stacks: a run's bits depend on nothing but the run.

Bits are those of one thread, and of products whose order does not depend on where matrices lie
(tests/conftest.py). What is compiled twice for one shape comes from Inductor's cache.
"""

import math

import pytest
import torch

from optlab import registry
from optlab.nn import BatchNorm1d, ReLU, Tanh
from optlab.optim import NAG, SGD, Adam, Momentum
from optlab.train.stack.vmapped import Vmapped
from optlab.train.stack.vmapped.backend import is_old
from tests.train.stack.vmapped_runs import (
    EVERYTHING,
    again,
    factors_of,
    part,
    rows_of,
    trained,
    weights,
)

#: Said by torch once in a process, where CUDA is installed and no device is there.
pytestmark = pytest.mark.filterwarnings("ignore:No CUDA runtime")
ENTRIES = list(dict.fromkeys(entry for _, entry in registry.optimizers.items()))
ACTIVATIONS = [entry for _, entry in registry.activations.items()]


def bits(stack, number, *rows):
    """Return all that is to be seen of a run."""
    member = stack.members[number]
    return [*rows, *weights(member.module).values(), *member.gradients().values()]


def same(a, b):
    return len(a) == len(b) and all(map(torch.equal, a, b))


def everything(entry, number):
    """Return a run with an optimizer, and the other choices by its number."""
    return part(
        number,
        entry,
        lr=0.01,
        activation=ACTIVATIONS[number % len(ACTIVATIONS)],
        regularizer=EVERYTHING if number % 2 else None,
        dtype=torch.float32,
    )


@pytest.mark.slow  # a program of every rule compiles for minutes
def test_every_optimizer_and_activation_among_others_and_beside_one_that_is_nan():
    """Bitwise, in two stacks: other neighbours, another place, another size, and one is NaN.

    The second holds every second run of the first, in the opposite order: one of its runs has no
    neighbour of its kind any more, and others have one that is NaN from the start.
    """
    parts = [everything(entry, n) for n, entry in enumerate(ENTRIES * 2)]
    chosen = list(range(0, len(parts), 2))[::-1]
    spoiled, spoiled_run = again([parts[n] for n in chosen]), len(chosen) // 2
    with torch.no_grad():
        next(spoiled[spoiled_run].module.parameters()).fill_(math.nan)
    first, values, means = trained(again(parts), 6, is_compiled=True)
    second, others, other_means = trained(spoiled, 6, is_compiled=True, wanted=chosen)
    assert others[spoiled_run, :, 0].isnan().all()
    for place, n in enumerate(chosen):
        if place != spoiled_run:
            mine = bits(first, n, values[n], means[n])
            assert same(mine, bits(second, place, others[place], other_means[place])), n


def test_a_version_that_compiles_mixed_networks_wrongly_runs_them_eagerly(monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.11.0+cu130")
    mixed = Vmapped([part(0, activation=ReLU), part(1, activation=Tanh)], True)
    assert mixed.execution == "eager: PyTorch 2.11.0+cu130 compiles mixed networks wrongly"
    assert Vmapped([part(0), part(1)], True).execution == "compiled"


@pytest.mark.skipif(is_old(), reason="this PyTorch compiles mixed networks wrongly")
def test_a_run_of_a_stack_is_the_run_alone():
    """Batch norm, dropout, mixed optimizers and activations: eager to rounding, alone bitwise."""
    kinds = [(Adam, ReLU), (NAG, Tanh), (Adam, Tanh)]
    parts = [
        part(
            n, entry, activation=f, norm=BatchNorm1d, dropout=0.3, batch_size=7, dtype=torch.float32
        )
        for n, (entry, f) in enumerate(kinds)
    ]
    stack, values, means = trained(again(parts), is_compiled=True)
    eager, plain, _ = trained(again(parts))
    torch.testing.assert_close(values, plain, rtol=1e-4, atol=1e-4)
    for name, tensor in weights(eager.members[1].module).items():
        other = weights(stack.members[1].module)[name]
        torch.testing.assert_close(other, tensor, rtol=1e-4, atol=1e-4)
    for n in (0, 1):
        alone, own, mean = trained(again(parts[n : n + 1]), is_compiled=True, wanted=[n])
        assert same(bits(stack, n, values[n], means[n]), bits(alone, 0, own[0], mean[0]))


def test_places_are_given_up_and_no_bit_of_those_who_stay_changes(monkeypatch):
    """Compiling again would have to pay; here time stands still, and it costs nothing."""
    monkeypatch.setattr("time.perf_counter", lambda: 0.0)
    parts = [part(n, entry) for n, entry in enumerate((SGD, SGD, Momentum, Momentum))]
    whole, stack = Vmapped(again(parts), True), Vmapped(parts, True)
    orders, factors = rows_of(parts, 9), factors_of(4, 9)
    for active, few in (([0, 1, 2, 3], slice(3)), ([0, 1, 2], slice(3, 6)), ([1, 2], slice(6, 9))):
        wanted = whole.advance([0, 1, 2, 3], orders[:, few], factors[:, few])
        mine = stack.advance(active, orders[active, few], factors[active, few])
        assert torch.equal(mine, wanted[active])
    assert [len(block) for block in stack._blocks] == [2]
    val = parts[0].data.val
    assert torch.equal(stack.evaluate([1, 2], val), whole.evaluate([0, 1, 2, 3], val)[1:3])
    assert all(same(bits(stack, n), bits(whole, n)) for n in (1, 2))
    assert stack.execution == "compiled"


def test_idle_places_are_kept_until_they_have_cost_as_much_as_compiling(monkeypatch):
    clock = iter(range(1000))
    parts = [part(n, SGD) for n in range(2)]
    stack, orders = Vmapped(parts, False), rows_of(parts, 8)
    stack._is_compiled = True
    monkeypatch.setattr("optlab.train.stack.vmapped.backend.compiled", compiled_in_ten_seconds)
    monkeypatch.setattr("time.perf_counter", lambda: 10.0 * next(clock))
    sizes = []
    for k in range(4):
        active = [0, 1] if k == 0 else [1]
        stack.advance(active, orders[active, k : k + 1], torch.ones(len(active), 1).double())
        sizes.append(len(stack._blocks[0]))
    assert sizes[:2] == [2, 2]
    assert sizes[-1] == 1


def compiled_in_ten_seconds(function, kept, *arguments):
    return lambda *arguments: function(kept, *arguments)
