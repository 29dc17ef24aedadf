"""What every backend owes: the weights that the loop everybody writes ends with."""

import inspect
from functools import partial

import pytest
import torch
from torch import nn

from optlab import registry
from optlab.compiler import NoCompiler
from optlab.nn import Tanh
from optlab.train.native import Native
from optlab.train.native.function import kernels
from optlab.train.stack.vmapped import Vmapped
from tests.optim import transformed
from tests.train.stack.vmapped_runs import part, rows_of

RULES = list(dict.fromkeys(entry for _, entry in registry.optimizers.items()))
RULES += transformed.CLASSES
BACKENDS = {"vmapped": partial(Vmapped, is_compiled=False), "native": Native}

try:
    kernels()
except NoCompiler:
    del BACKENDS["native"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_equals_the_loop_everybody_writes(backend):
    """Against torch.nn and torch.optim, 200 updates, every optimizer that torch has: 1e-12."""
    entries = [entry for entry in RULES if entry.torch_class]
    assert len(entries) > 8
    parts = [part(n, e, lr=0.002, activation=Tanh, **e.torch_form) for n, e in enumerate(entries)]
    theirs = [torch_network(own.module) for own in parts]
    optimizers = [of_torch(e, net) for e, net in zip(entries, theirs, strict=True)]
    stack, orders = BACKENDS[backend](parts), rows_of(parts, 200)
    train = parts[0].data.train
    ones = torch.ones(len(parts), 200, dtype=torch.float64)
    stack.advance(range(len(parts)), orders, ones)
    groups = zip(entries, parts, theirs, optimizers, orders, strict=True)
    for entry, own, net, optimizer, order in groups:
        for rows in order:
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(train.x[rows]), train.y[rows]).backward()
            optimizer.step()
        # torch keeps NAdam's product of momenta in float32.
        tolerance = 1e-7 if "mu_product" in entry.rule.scalars else 1e-12
        for a, b in zip(own.module.parameters(), net.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def torch_network(module):
    net = nn.Sequential(
        nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, 3)
    ).double()
    with torch.no_grad():
        for a, b in zip(net.parameters(), module.parameters(), strict=True):
            a.copy_(b)
    return net


def of_torch(entry, net):
    """Return torch's optimizer of the same method, with our defaults."""
    ours = entry([nn.Parameter(torch.ones(1, 1))]).defaults
    options = {**ours, "lr": 0.002, **(entry.rule.torch_group or {})}
    known = inspect.signature(entry.torch_class).parameters.keys() - entry.torch_form.keys()
    chosen = {name: value for name, value in options.items() if name in known}
    return entry.torch_class(net.parameters(), **chosen)
