"""What depends on anything but tensors is not recorded: one call of it would stand for all."""

import itertools
import random
import time

import numpy as np
import pytest
import torch

from optlab.compiler import NotCompiled
from optlab.train.native.steady import steady_graph_of

COUNTER = itertools.count()
DRAWN = {
    "numpy": lambda x: [x * float(np.random.default_rng().random())],
    "python": lambda x: [x + random.Random().random()],
    "clock": lambda x: [x + time.perf_counter()],
    "counter": lambda x: [x * float(next(COUNTER))],
    "constant": lambda x: [x + torch.tensor(np.random.default_rng().random(2))],
    "shape": lambda x: [x.repeat(next(COUNTER) % 2 + 1)],
    "operation": lambda x: [x.sin() if next(COUNTER) % 2 else x.cos()],
}


@pytest.mark.parametrize("kind", DRAWN)
def test_a_function_that_computes_something_else_each_time_is_refused(kind):
    with pytest.raises(NotCompiled, match="two calls on the same tensors compute different things"):
        steady_graph_of(DRAWN[kind], [torch.zeros(2)])


def test_what_is_the_same_each_time_is_recorded_once():
    table = torch.arange(2.0)
    graph = steady_graph_of(lambda x: [x * 2.5 + table, x.sum()], [torch.zeros(2)])
    assert [node.name for node in graph.nodes] == ["mul", "add", "sum"]
    assert len(graph.constants) == 1
