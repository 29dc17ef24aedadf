"""The training loop: rows, steps, and equality with modules, autograd and SGD (BPR-01)."""

import pytest
import torch
from torch import nn

from optlab.backprop import (
    Layers,
    TwoTwoOne,
    random_rows,
    shuffled_rows,
    train_backprop,
    update,
)
from optlab.nn import Linear, Sigmoid
from optlab.nn.losses import bce_with_logits, mse
from optlab.optim import SGD


def rows(num, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num, width, generator=generator, dtype=torch.float64)


def set_layer(layer, weight, bias):
    """Give a module the notes' weight (in, out), which it keeps as (out, in)."""
    layer.weight.data, layer.bias.data = weight.T.clone(), bias.clone()


def train_modules(module, loss, x, y, order, lr):
    optimizer = SGD(module.parameters(), lr=lr)
    losses = []
    for row in order.flatten().tolist():
        optimizer.zero_grad()
        cost = loss(module(x[row : row + 1]), y[row : row + 1])
        cost.backward()
        optimizer.step()
        losses.append(cost.detach())
    return torch.stack(losses).view(order.shape)


@pytest.mark.parametrize("draw", [random_rows, shuffled_rows])
def test_two_two_one_trains_as_modules_do(draw):
    network, x = TwoTwoOne(), rows(20, 2)
    y, order = x[:, 0] * x[:, 1], draw(20, 5, seed=3)
    start = network.draw(seed=1)
    module = nn.Sequential(Linear(2, 2), Sigmoid(), Linear(2, 1)).double()

    def laid_out(p):
        first = torch.stack([p[f"w1_{ij}"] for ij in (11, 12, 21, 22)]).view(2, 2)
        second = torch.stack([p["w2_11"], p["w2_21"]]).view(2, 1)
        return first, torch.stack([p["b11"], p["b12"]]), second, p["b21"].view(1)

    w1, b1, w2, b2 = laid_out(start)
    set_layer(module[0], w1, b1)
    set_layer(module[2], w2, b2)
    trained, losses = train_backprop(network, start, x, y, order, lr=0.1)
    expected = train_modules(module, mse, x, y[:, None], order, lr=0.1)
    # A hundred updates of a few roundings each.
    torch.testing.assert_close(losses, expected, rtol=1e-12, atol=1e-13)
    found = [*module[0].parameters(), *module[2].parameters()]
    for ours, theirs in zip(laid_out(trained), found, strict=True):
        torch.testing.assert_close(ours.t(), theirs.detach(), rtol=1e-12, atol=1e-13)


def test_four_three_two_one_trains_as_modules_do():
    network, x, order = Layers("bce"), rows(20, 4), random_rows(20, 5, seed=3)
    y = (x.sum(1, keepdim=True) > 0).double()
    start = network.draw((4, 3, 2, 1), seed=1)
    parts = [Linear(4, 3), Sigmoid(), Linear(3, 2), Sigmoid(), Linear(2, 1)]
    module = nn.Sequential(*parts).double()
    for k in (1, 2, 3):
        set_layer(module[2 * k - 2], start[f"W{k}"], start[f"b{k}"])
    trained, losses = train_backprop(network, start, x, y, order, lr=0.5)
    expected = train_modules(module, bce_with_logits, x, y, order, lr=0.5)
    # A hundred updates of a few roundings each; log(1 - sigmoid(z)) loses some more.
    torch.testing.assert_close(losses, expected, rtol=1e-11, atol=1e-12)
    for k in (1, 2, 3):
        weight = module[2 * k - 2].weight.detach()
        torch.testing.assert_close(trained[f"W{k}"].T, weight, rtol=1e-11, atol=1e-12)


def test_first_step_is_that_of_the_first_row():
    network, x, y = TwoTwoOne(), rows(4, 2), torch.arange(4).double()
    start, order = network.draw(seed=0), torch.tensor([[2]])
    trained, losses = train_backprop(network, start, x, y, order, lr=0.3)
    activations = network.forward(start, x[2])
    assert trained == update(start, network.backward(start, activations, y[2]), 0.3)
    assert losses == (y[2] - activations.yhat).square()


def test_training_leaves_the_start_as_it_is():
    network, x, y = TwoTwoOne(), rows(4, 2), torch.arange(4).double()
    start = network.draw(seed=0)
    trained, _ = train_backprop(network, start, x, y, random_rows(4, 1, seed=0), lr=0.3)
    assert start == network.draw(seed=0)
    assert all(trained[name] != start[name] for name in start)


def test_stack_of_networks_trains_as_each_alone():
    network, x, y = TwoTwoOne(), rows(6, 2), torch.arange(6).double()
    orders = [random_rows(6, 2, seed) for seed in range(3)]
    starts = [network.draw(seed) for seed in range(3)]
    stack = {name: torch.stack([start[name] for start in starts]) for name in TwoTwoOne.NAMES}
    together, _ = train_backprop(network, stack, x, y, torch.stack(orders, dim=-1), lr=0.1)
    for run, (start, order) in enumerate(zip(starts, orders, strict=True)):
        alone, _ = train_backprop(network, start, x, y, order, lr=0.1)
        for name, value in alone.items():
            torch.testing.assert_close(together[name][run], value, rtol=1e-13, atol=1e-15)


def test_learns_xor_where_a_line_cannot():
    """PER-03 and PER-09: a 2-4-1 network of sigmoids on the four corners."""
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    y = torch.tensor([0.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    network = Layers("bce")
    start = network.draw((2, 4, 1), seed=0)
    trained, losses = train_backprop(network, start, x, y, random_rows(4, 1000, seed=0), lr=0.5)
    assert (network.forward(trained, x)[-1][:, 0] > 0.5).tolist() == [False, True, True, False]
    assert losses[-100:].mean() < 0.1 < losses[:100].mean()


def test_random_rows_repeat_within_an_epoch_and_shuffled_rows_do_not():
    drawn, shuffled = random_rows(30, 4, seed=0), shuffled_rows(30, 4, seed=0)
    assert drawn.shape == shuffled.shape == (4, 30)
    assert all(len(set(epoch.tolist())) < 30 for epoch in drawn)
    assert all(sorted(epoch.tolist()) == list(range(30)) for epoch in shuffled)
    assert not torch.equal(shuffled[0], shuffled[1])


@pytest.mark.parametrize("draw", [random_rows, shuffled_rows])
def test_order_is_a_function_of_the_seed_and_of_nothing_global(draw):
    before = torch.get_rng_state()
    first = draw(30, 2, seed=0)
    assert torch.equal(first, draw(30, 2, seed=0))
    assert not torch.equal(first, draw(30, 2, seed=1))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("draw", [random_rows, shuffled_rows])
def test_no_epoch_trains_nothing(draw):
    network, x, y = TwoTwoOne(), rows(4, 2), torch.arange(4).double()
    start, order = network.draw(seed=0), draw(4, 0, seed=0)
    assert order.shape == (0, 4)
    assert order.dtype == torch.int64
    trained, losses = train_backprop(network, start, x, y, order, lr=0.3)
    assert trained == start
    assert losses.shape == (0, 4)
    assert losses.dtype == x.dtype
