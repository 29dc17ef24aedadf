import copy
import itertools
from typing import Any

import numpy as np
import pytest
import schedulefree
import torch
from torch import Tensor, nn

from optlab.config import ConfigError
from optlab.optim import RMSprop, ScheduleFreeAdamW
from optlab.optim.groups import pack
from tests.optim.paths import Array, assert_close, path, random_gradients, start

#: A rate that rises, rests at zero and falls, as a scheduler on top of the method may give it.
RATES = (0.0, 0.1, 0.3, 0.0, *[0.2] * 16, *[0.02] * 10)


def formula(
    grads: Array, x: Array, lr: float, betas: tuple[float, float], eps: float, decay: float,
    warmup: int, r: float, power: float,
) -> tuple[Array, Array]:  # fmt: skip
    """Defazio et al. (2024), Algorithm 1, with x, y and z apart: (all y, all x)."""
    z, y, v, ys, xs, total, largest = x, x, np.zeros_like(x), [], [], 0.0, 0.0
    for t, g in enumerate(grads, start=1):
        rate = lr * (t / warmup if t < warmup else 1.0)
        largest = max(largest, rate)
        total += t**r * largest**power
        c = t**r * largest**power / total
        v = betas[1] * v + (1 - betas[1]) * g**2
        v_hat = v / (1 - betas[1] ** t)
        z = z - rate * (g / (np.sqrt(v_hat) + eps) + decay * y)
        x = (1 - c) * x + c * z
        y = (1 - betas[0]) * z + betas[0] * x
        ys.append(y)
        xs.append(x)
    return np.array(ys), np.array(xs)


def walk(make: Any, grads: Tensor, rates: Any = None, **options: Any) -> tuple[Tensor, Tensor]:
    """Return (all y, all x); the authors' optimizer is asked for x in a copy."""
    param = nn.Parameter(start(tuple(grads.shape[1:])))
    optimizer = make([param], **options)
    if make is not ScheduleFreeAdamW:
        optimizer.train()
    ys, xs = [], []
    for step, grad in enumerate(grads):
        if rates is not None:
            optimizer.param_groups[0]["lr"] = rates[step]
        param.grad = grad.clone()
        optimizer.step()
        ys.append(param.detach().clone())
        judged, twin = copy.deepcopy((param, optimizer))
        if make is not ScheduleFreeAdamW:
            twin.eval()
        xs.append(twin.iterates()[0] if make is ScheduleFreeAdamW else judged.detach())
    return torch.stack(ys), torch.stack(xs)


CASES = list(
    itertools.product([(0.9, 0.999), (0.1, 0.5)], [0.0, 0.1], [0, 7], [(0.0, 2.0), (1.5, 0.0)])
)
every_case = pytest.mark.parametrize(("betas", "decay", "warmup", "weights"), CASES)


@every_case
def test_equals_the_formula_in_numpy(
    betas: tuple[float, float], decay: float, warmup: int, weights: tuple[float, float]
) -> None:
    grads = random_gradients()
    expected = formula(
        grads.numpy(), start((4, 3)).numpy(), 0.1, betas, 1e-3, decay, warmup, *weights
    )
    actual = walk(
        ScheduleFreeAdamW,
        grads,
        lr=0.1,
        betas=betas,
        eps=1e-3,
        weight_decay=decay,
        warmup_steps=warmup,
        r=weights[0],
        weight_lr_power=weights[1],
    )
    # x follows from y by a factor of up to 1 / beta1 - 1 = 9, which magnifies its rounding.
    assert_close(actual[0], expected[0], 1e-12)
    assert_close(actual[1], expected[1], 1e-12)


@every_case
@pytest.mark.parametrize("rates", [None, RATES], ids=["constant", "scheduled"])
def test_equals_the_package_of_the_authors(
    betas: tuple[float, float], decay: float, warmup: int, weights: tuple[float, float], rates: Any
) -> None:
    options = {
        "lr": 0.1,
        "betas": betas,
        "weight_decay": decay,
        "warmup_steps": warmup,
        "r": weights[0],
        "weight_lr_power": weights[1],
    }
    grads = random_gradients(steps=30)
    ours = walk(ScheduleFreeAdamW, grads, rates, **options)
    theirs = walk(schedulefree.AdamWScheduleFree, grads, rates, foreach=False, **options)
    # The same formula in another order, a few roundings of 1e-16 a step; see above for x.
    assert_close(ours[0], theirs[0], 1e-12)
    assert_close(ours[1], theirs[1], 1e-12)


def test_defaults_are_those_of_the_package() -> None:
    ours = pack(ScheduleFreeAdamW.rule.hyper())
    theirs = schedulefree.AdamWScheduleFree([nn.Parameter(torch.ones(1))]).defaults
    assert ours == {name: theirs[name] for name in ours}


def test_first_step_is_lr_against_the_sign() -> None:
    # v_hat = g^2; z, its average and the point between them fall together.
    grads = torch.tensor([[1e-4, -3.0, 1e4]], dtype=torch.float64)
    ys, xs = walk(ScheduleFreeAdamW, grads, lr=0.1, eps=0.0)
    assert_close(ys[0] - start((3,)), -0.1 * grads[0].sign(), 1e-12)
    assert torch.equal(ys, xs)


def test_decay_alone_shrinks_by_the_rate_of_the_step() -> None:
    # Without a gradient u = decay * y: z falls by lr * decay * y, also while the rate warms up.
    still = torch.zeros(2, 3, dtype=torch.float64)
    ys, _ = walk(ScheduleFreeAdamW, still, lr=0.1, weight_decay=0.5, warmup_steps=2)
    assert_close(ys[0], start((3,)) * (1 - 0.05 * 0.5), 1e-15)


def test_iterate_is_the_mean_of_rmsprop() -> None:
    # With a constant rate x is the plain mean of z, and z moves by gradients over their root.
    # RMSprop has no correction of its mean square; with beta2 = 0 there is none to make.
    grads = random_gradients()
    z = path(RMSprop, grads, lr=0.1, alpha=0.0, eps=1e-3)
    count = torch.arange(1, 51, dtype=torch.float64)[:, None, None]
    _, xs = walk(ScheduleFreeAdamW, grads, lr=0.1, betas=(0.7, 0.0), eps=1e-3)
    assert_close(xs, z.cumsum(0) / count, 1e-12)


def test_state_names_are_those_of_the_package() -> None:
    ours, theirs = (nn.Parameter(torch.ones(3)) for _ in range(2))
    optimizer, reference = ScheduleFreeAdamW([ours]), schedulefree.AdamWScheduleFree([theirs])
    reference.train()
    for param, each in ((ours, optimizer), (theirs, reference)):
        param.grad = torch.ones(3)
        each.step()
    elements = optimizer.state[ours].keys() - set(ScheduleFreeAdamW.rule.scalars)
    assert elements == reference.state[theirs].keys()


def test_beta1_of_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"beta1 must be in \(0, 1\], got 0.0 .*\.beta1"):
        ScheduleFreeAdamW([nn.Parameter(torch.ones(1))], betas=(0.0, 0.999))


def test_keeps_two_numbers_per_parameter() -> None:
    # And a float32 counter and two float64 numbers per tensor.
    state = ScheduleFreeAdamW.rule.init_state(torch.zeros(1000), ScheduleFreeAdamW.rule.hyper())
    assert sum(value.nbytes for value in state.values()) == 2 * 1000 * 4 + 4 + 2 * 8
