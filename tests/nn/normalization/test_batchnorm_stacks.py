"""Batch normalization in stacks, transforms and compiled programs: each run as if alone."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from optlab.nn.linear import Linear
from optlab.nn.normalization.batchnorm import BatchNorm1d, BatchNorm2d
from optlab.nn.normalization.layernorm import LayerNorm

SHAPES = [(16, 5), (6, 5, 3), (6, 5, 20), (4, 5, 6, 6), (4, 5, 2, 2)]


def members(shape, runs, dtype=torch.float32, **options):
    kind = BatchNorm2d if len(shape) == 4 else BatchNorm1d
    modules = [kind(5, **options).to(dtype) for _ in range(runs)]
    for run, module in enumerate(modules):
        stream = torch.Generator().manual_seed(run)
        for parameter in module.parameters():
            parameter.data = torch.randn(5, generator=stream, dtype=dtype)
    return modules


def batches(shape, runs, dtype=torch.float32):
    stream = torch.Generator().manual_seed(7)
    return torch.randn(runs, *shape, generator=stream, dtype=dtype) * 2 + 1


def stacked_gradients(modules, x, steps=2):
    """Return gradients and buffers of a stack, as the training step takes them."""
    parameters, buffers = stack_module_state(modules)

    def loss(p, b, batch):
        return functional_call(modules[0], (p, b), (batch,)).sin().sum()

    def step(p, b, batch):
        own = {name: value.clone() for name, value in b.items()}
        return grad(loss)(p, own, batch), own

    for _ in range(steps):
        gradients, buffers = vmap(step)(parameters, buffers, x)
    return gradients, buffers


@pytest.mark.parametrize("options", [{}, {"eps_mode": "sigma"}, {"momentum": None}], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_run_of_a_stack_has_its_own_statistics(shape, options):
    modules, x = members(shape, 3, torch.float64, **options), batches(shape, 3, torch.float64)
    gradients, buffers = stacked_gradients(modules, x)
    for run, module in enumerate(modules):
        for _ in range(2):
            module.zero_grad()
            module(x[run]).sin().sum().backward()
        for name, parameter in module.named_parameters():
            torch.testing.assert_close(gradients[name][run], parameter.grad, rtol=1e-12, atol=1e-12)
        for name, buffer in module.named_buffers():
            torch.testing.assert_close(buffers[name][run], buffer, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_run_depends_in_no_bit_on_the_number_of_runs(shape):
    modules, x = members(shape, 5), batches(shape, 5)
    together = stacked_gradients(modules, x)
    alone = stacked_gradients(modules[3:4], x[3:4])
    for all_of_them, own in zip(together, alone, strict=True):
        for name, values in all_of_them.items():
            assert torch.equal(values[3], own[name][0]), name


def test_channels_last_images_in_a_stack():
    modules, x = members((4, 5, 6, 6), 2, torch.float64), batches((4, 5, 6, 6), 2, torch.float64)
    usual = stacked_gradients(modules, x)
    last = stacked_gradients(modules, x.movedim(2, -1).contiguous().movedim(-1, 2))
    for left, right in zip(usual, last, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-12)


def test_evaluation_of_a_stack():
    modules, x = members((16, 5), 3), batches((16, 5), 3)
    for module, rows in zip(modules, x, strict=True):
        module(rows)
        module.eval()
    state = stack_module_state(modules)
    stacked = vmap(lambda p, b, rows: functional_call(modules[0], (p, b), (rows,)))(*state, x)
    for run, module in enumerate(modules):
        assert torch.equal(stacked[run], module(x[run]))


def test_gradients_of_gradients_in_a_stack():
    modules, x = members((4, 5), 2, torch.float64), batches((4, 5), 2, torch.float64)
    parameters, buffers = stack_module_state(modules)

    def loss(rows, p, b):
        return functional_call(modules[0], (p, {n: v.clone() for n, v in b.items()}), (rows,))

    def slope(rows, p, b):
        return grad(lambda r: loss(r, p, b).pow(3).sum())(rows)

    stacked = vmap(grad(lambda r, p, b: slope(r, p, b).sin().sum()))(x, parameters, buffers)
    for run, module in enumerate(modules):
        rows = x[run].clone().requires_grad_()
        (first,) = torch.autograd.grad(module(rows).pow(3).sum(), rows, create_graph=True)
        (second,) = torch.autograd.grad(first.sin().sum(), rows)
        torch.testing.assert_close(stacked[run], second, rtol=1e-10, atol=1e-10)


# Without a C compiler an operator of ours takes them one by one, and torch says so.
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_many_gradients_at_once():
    """As a vectorized Jacobian asks for them, and `torch.vmap` of a backward pass."""
    module, x = BatchNorm1d(3).double(), batches((4, 3), 1, torch.float64)[0].requires_grad_()
    rows = torch.autograd.functional.jacobian(module, x)
    vectorized = torch.autograd.functional.jacobian(module, x, vectorize=True)
    torch.testing.assert_close(vectorized, rows, rtol=1e-12, atol=1e-12)
    y = module(x)
    units = torch.eye(12, dtype=torch.float64).view(12, 4, 3)
    mapped = vmap(lambda unit: torch.autograd.grad(y, x, unit, retain_graph=True)[0])(units)
    torch.testing.assert_close(mapped.view_as(rows), rows, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_compiled_network_equals_the_plain_one(train, dtype):
    net = nn.Sequential(Linear(6, 5), BatchNorm1d(5), LayerNorm(5)).to(dtype).train(train)
    parameters, buffers = dict(net.named_parameters()), dict(net.named_buffers())
    x = batches((8, 6), 1, dtype)[0]

    def loss(p, b, rows):
        return functional_call(net, (p, b), (rows,)).sin().sum()

    def step(p, b, rows):
        own = {name: value.clone() for name, value in b.items()}
        return grad(loss)(p, own, rows), own

    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    for _ in range(2):
        torch.testing.assert_close(
            compiled(parameters, buffers, x), step(parameters, buffers, x), rtol=1e-5, atol=1e-6
        )
