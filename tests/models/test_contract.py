"""Every registered model maps rows to scores, alone and in a stack."""

import pytest
import torch
from torch.func import functional_call, stack_module_state, vmap

from optlab.config import ConfigError
from optlab.init import he_normal_, initialize
from optlab.models import ModelContext
from optlab.nn import ReLU
from optlab.registry import models


def contexts():
    vectors = [ModelContext((3, 2), outputs, ReLU) for outputs in (4, 2, 1)]
    return [*vectors, ModelContext((4, 4), 4, ReLU)]


@pytest.fixture(params=list(models))
def build(request):
    """Make a model from a seed, with the first inputs and outputs that it takes."""

    def make(seed):
        for context in contexts():
            try:
                module = models.create(request.param, {})(context)
            except ConfigError:
                continue
            initialize(module, he_normal_, seed)
            return module, context
        raise AssertionError(f"{request.param} takes none of {contexts()}")

    return make


def test_maps_rows_to_scores(build):
    module, context = build(0)
    for rows in (1, 5):
        x = torch.ones(rows, *context.input_shape)
        assert module(x).shape == (rows, context.num_outputs)


def test_stack_equals_each_run(build):
    runs = [build(seed)[0] for seed in range(3)]
    shape = build(0)[1].input_shape
    x = torch.randn(3, 5, *shape, generator=torch.Generator().manual_seed(0))
    parameters, buffers = stack_module_state(runs)
    stacked = vmap(lambda p, b, rows: functional_call(runs[0], (p, b), (rows,)))(
        parameters, buffers, x
    )
    for number, run in enumerate(runs):
        torch.testing.assert_close(stacked[number], run(x[number]))


def test_same_seed_same_model_whatever_the_global_generator_holds(build):
    torch.manual_seed(1)
    first = build(3)[0].state_dict()
    torch.manual_seed(2)
    torch.testing.assert_close(first, build(3)[0].state_dict(), rtol=0, atol=0)


def test_hooks_of_every_part_are_run(build):
    """Pruning, parametrizations and monitors hang on them."""
    module, context = build(0)
    seen = set()
    for name, part in module.named_modules():
        part.register_forward_hook(lambda *_, name=name: seen.add(name))
    module(torch.ones(2, *context.input_shape))
    containers = torch.nn.ModuleList | torch.nn.ModuleDict
    called = {name for name, part in module.named_modules() if not isinstance(part, containers)}
    assert called - seen == set()
