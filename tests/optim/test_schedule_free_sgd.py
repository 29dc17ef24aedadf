import copy
import itertools
from typing import Any

import numpy as np
import pytest
import schedulefree
import torch
from torch import Tensor, nn

from optlab.config import ConfigError
from optlab.optim import SGD, ScheduleFreeSGD
from optlab.optim.groups import pack
from tests.optim.paths import Array, assert_close, path, random_gradients, start

#: A rate that rises, rests at zero and falls, as a scheduler on top of the method may give it.
RATES = (0.0, 0.1, 0.3, 0.0, *[0.2] * 16, *[0.02] * 10)


def formula(
    grads: Array,
    x: Array,
    lr: float,
    beta: float,
    decay: float,
    warmup: int,
    r: float,
    power: float,
) -> tuple[Array, Array]:
    """Defazio et al. (2024), equations 1 to 3, with x, y and z apart: (all y, all x)."""
    z, ys, xs, weights, largest = x, [], [], [], 0.0
    y = x
    for t, g in enumerate(grads, start=1):
        rate = lr * (t / warmup if t < warmup else 1.0)
        largest = max(largest, rate)
        weights.append(t**r * largest**power)
        c = weights[-1] / sum(weights)
        z = z - rate * (g + decay * y)
        x = (1 - c) * x + c * z
        y = (1 - beta) * z + beta * x
        ys.append(y)
        xs.append(x)
    return np.array(ys), np.array(xs)


def walk(grads: Tensor, rates: Any = None, **options: Any) -> tuple[Tensor, Tensor]:
    """Return (all y, all x) of our optimizer; ``rates`` holds a learning rate per step."""
    param = nn.Parameter(start(tuple(grads.shape[1:])))
    optimizer = ScheduleFreeSGD([param], **options)
    ys, xs = [], []
    for step, grad in enumerate(grads):
        if rates is not None:
            optimizer.param_groups[0]["lr"] = rates[step]
        param.grad = grad.clone()
        optimizer.step()
        ys.append(param.detach().clone())
        xs.append(optimizer.iterates()[0])
    return torch.stack(ys), torch.stack(xs)


def walk_of_authors(grads: Tensor, rates: Any = None, **options: Any) -> tuple[Tensor, Tensor]:
    """Return (all y, all x) of the authors' optimizer, which writes into gradients."""
    param = nn.Parameter(start(tuple(grads.shape[1:])))
    optimizer = schedulefree.SGDScheduleFree([param], foreach=False, **options)
    optimizer.train()
    ys, xs = [], []
    for step, grad in enumerate(grads):
        if rates is not None:
            optimizer.param_groups[0]["lr"] = rates[step]
        param.grad = grad.clone()
        optimizer.step()
        ys.append(param.detach().clone())
        judged, twin = copy.deepcopy((param, optimizer))
        twin.eval()
        xs.append(judged.detach())
    return torch.stack(ys), torch.stack(xs)


CASES = list(itertools.product([0.1, 0.9], [0.0, 0.1], [0, 7], [(0.0, 2.0), (1.5, 0.0)]))
every_case = pytest.mark.parametrize(("beta", "decay", "warmup", "weights"), CASES)


@every_case
def test_equals_the_formula_in_numpy(
    beta: float, decay: float, warmup: int, weights: tuple[float, float]
) -> None:
    grads = random_gradients()
    expected = formula(grads.numpy(), start((4, 3)).numpy(), 0.1, beta, decay, warmup, *weights)
    actual = walk(
        grads,
        lr=0.1,
        momentum=beta,
        weight_decay=decay,
        warmup_steps=warmup,
        r=weights[0],
        weight_lr_power=weights[1],
    )
    # x follows from y by a factor of up to 1 / beta - 1 = 9, which magnifies its rounding.
    assert_close(actual[0], expected[0], 1e-12)
    assert_close(actual[1], expected[1], 1e-12)


@every_case
@pytest.mark.parametrize("rates", [None, RATES], ids=["constant", "scheduled"])
def test_equals_the_package_of_the_authors(
    beta: float, decay: float, warmup: int, weights: tuple[float, float], rates: Any
) -> None:
    options = {
        "lr": 0.1,
        "momentum": beta,
        "weight_decay": decay,
        "warmup_steps": warmup,
        "r": weights[0],
        "weight_lr_power": weights[1],
    }
    grads = random_gradients(steps=30)
    ours, theirs = walk(grads, rates, **options), walk_of_authors(grads, rates, **options)
    # The same formula in another order, a few roundings of 1e-16 a step; see above for x.
    assert_close(ours[0], theirs[0], 1e-12)
    assert_close(ours[1], theirs[1], 1e-12)


def test_defaults_are_those_of_the_package() -> None:
    ours = pack(ScheduleFreeSGD.rule.hyper())
    theirs = schedulefree.SGDScheduleFree([nn.Parameter(torch.ones(1))]).defaults
    assert ours == {name: theirs[name] for name in ours}


def test_two_steps_by_hand() -> None:
    # f = w^2 / 2 from w = 1, lr 0.5, beta 0.5 (exact in binary); c = 1, then 1/2:
    #   g = 1      z = 1 - 0.5 = 0.5      x = 0.5                       y = 0.5
    #   g = 0.5    z = 0.5 - 0.25 = 0.25  x = (0.5 + 0.25) / 2 = 0.375  y = (0.25 + 0.375) / 2
    hyper = ScheduleFreeSGD.rule.hyper(lr=0.5, momentum=0.5)
    y = torch.tensor([1.0])
    state, seen = ScheduleFreeSGD.rule.init_state(y, hyper), []
    assert ScheduleFreeSGD.rule.iterate is not None
    for _ in range(2):
        y, state = ScheduleFreeSGD.rule.update(y, y, state, hyper)
        x = ScheduleFreeSGD.rule.iterate(y, state, hyper)
        seen.append((state["z"].item(), x.item(), y.item()))
    assert seen == [(0.5, 0.5, 0.5), (0.25, 0.375, 0.3125)]


def test_z_is_gradient_descent_and_the_iterate_its_mean() -> None:
    # With a constant rate and no further weights, whatever the momentum.
    grads = random_gradients()
    z = path(SGD, grads, lr=0.1)
    count = torch.arange(1, 51, dtype=torch.float64)[:, None, None]
    assert_close(walk(grads, lr=0.1, momentum=0.3)[1], z.cumsum(0) / count, 1e-12)


def test_gradients_are_taken_at_the_average_where_momentum_is_one() -> None:
    ys, xs = walk(random_gradients(), lr=0.1, momentum=1.0)
    assert torch.equal(ys, xs)


def test_z_starts_where_the_first_gradient_is_taken() -> None:
    # A decay outside the rule may have moved the parameter since the state was made.
    hyper, grad = ScheduleFreeSGD.rule.hyper(lr=0.5), torch.ones(3)
    early = ScheduleFreeSGD.rule.init_state(torch.full((3,), 9.0), hyper)
    _, state = ScheduleFreeSGD.rule.update(grad, torch.full((3,), 2.0), early, hyper)
    assert state["z"].tolist() == [1.5, 1.5, 1.5]


def test_steps_before_the_first_rate_above_zero_do_not_count() -> None:
    grads = random_gradients(steps=6)
    late, _ = walk(grads, rates=(0.0, 0.0, 0.1, 0.1, 0.1, 0.1))
    assert torch.equal(late[2:], walk(grads[2:], lr=0.1)[0])


def test_average_at_the_minimum_of_a_noisy_bowl_is_closer_than_the_last_point() -> None:
    # f = w^2 / 2 with gradient noise 1: z keeps wandering, its average does not.
    noise = torch.randn(2000, 50, generator=torch.Generator().manual_seed(3)).double()
    param = nn.Parameter(torch.full((50,), 3.0, dtype=torch.float64))
    optimizer = ScheduleFreeSGD([param], lr=0.5)
    for step in range(2000):
        param.grad = param.detach() + noise[step]
        optimizer.step()
    (x,), z = optimizer.iterates(), optimizer.state[param]["z"]
    assert x.square().mean() < z.square().mean() / 50


@pytest.mark.parametrize("momentum", [0.0, 1.5])
def test_momentum_from_which_the_average_cannot_be_recovered_is_refused(momentum: float) -> None:
    with pytest.raises(ConfigError, match=r"momentum must be in \(0, 1\], got .*\.momentum"):
        ScheduleFreeSGD([nn.Parameter(torch.ones(1))], momentum=momentum)


def test_keeps_one_number_per_parameter() -> None:
    # And a float32 counter and two float64 numbers per tensor.
    state = ScheduleFreeSGD.rule.init_state(torch.zeros(1000), ScheduleFreeSGD.rule.hyper())
    assert sum(value.nbytes for value in state.values()) == 1000 * 4 + 4 + 2 * 8
