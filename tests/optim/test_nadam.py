import itertools

import numpy as np
import pytest
import torch

from optlab.optim import NAdam
from optlab.optim.rules.nadam import momentum_at
from tests.optim.paths import Array, assert_close, path, random_gradients, start


def formula(
    grads: Array, w: Array, lr: float, b1: float, b2: float, eps: float, psi: float
) -> Array:
    """Dozat (2016), Algorithm 2, with a mean that decays by b1."""
    mu = b1 * (1 - 0.5 * 0.96 ** (psi * np.arange(1, len(grads) + 2)))
    products = np.cumprod(mu)
    m, v, points = np.zeros_like(w), np.zeros_like(w), []
    for t, g in enumerate(grads, start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        # mu[t - 1] is mu_t.
        g_share = (1 - mu[t - 1]) * g / (1 - products[t - 1])
        m_share = mu[t] * m / (1 - products[t])
        w = w - lr * (g_share + m_share) / (np.sqrt(v / (1 - b2**t)) + eps)
        points.append(w)
    return np.array(points)


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.5), (0.99, 0.9)])
@pytest.mark.parametrize("momentum_decay", [0.0, 4e-3, 1.0])
def test_equals_the_formula_in_numpy(betas: tuple[float, float], momentum_decay: float) -> None:
    grads = random_gradients()
    expected = formula(grads.numpy(), start((4, 3)).numpy(), 0.1, *betas, 1e-3, momentum_decay)
    ours = path(NAdam, grads, lr=0.1, betas=betas, eps=1e-3, momentum_decay=momentum_decay)
    assert_close(ours, expected, 1e-12)


@pytest.mark.parametrize(
    ("weight_decay", "decoupled", "maximize"),
    list(itertools.product([0.0, 0.1], [False, True], [False, True])),
)
def test_equals_torch(weight_decay: float, decoupled: bool, maximize: bool) -> None:
    # torch keeps the product of momenta in float32, whose last bit is 6e-8 of it.
    grads = random_gradients()
    for options in ({}, {"lr": 0.01, "betas": (0.5, 0.9), "momentum_decay": 0.5}):
        options |= {"weight_decay": weight_decay, "maximize": maximize}
        options |= {"decoupled_weight_decay": decoupled}
        theirs = path(torch.optim.NAdam, grads, **options)
        assert_close(path(NAdam, grads, **options), theirs, 1e-7)


def test_first_step_is_longer_than_lr_by_the_look_ahead() -> None:
    # m = 0.1 g and v_hat = g^2: the step is 1 + 0.1 mu_2 / (1 - mu_1 mu_2) times lr.
    grads = torch.tensor([[1e-4, -3.0, 1e4]], dtype=torch.float64)
    first, second = (0.9 * (1 - 0.5 * 0.96 ** (t * 4e-3)) for t in (1, 2))
    length = 1 + 0.1 * second / (1 - first * second)
    moved = path(NAdam, grads, lr=0.1, eps=0.0)[0] - start((3,))
    assert_close(moved, -0.1 * length * grads[0].sign(), 1e-12)


def test_momentum_rises_from_half_of_beta1_to_beta1() -> None:
    hyper = NAdam.rule.hyper()
    assert momentum_at(0, hyper) == 0.45
    assert momentum_at(4245, hyper) == pytest.approx(0.675, rel=1e-5)
    assert momentum_at(1e6, hyper) == pytest.approx(0.9, rel=1e-12)


def test_state_holds_the_product_of_momenta_in_float64() -> None:
    hyper, point = NAdam.rule.hyper(momentum_decay=0.0), torch.zeros(3)
    state = NAdam.rule.init_state(point, hyper)
    for _ in range(20):
        point, state = NAdam.rule.update(torch.ones(3), point, state, hyper)
    # Without a schedule the momentum is 0.45.
    assert state["mu_product"].dtype == torch.float64
    assert state["mu_product"].item() == pytest.approx(0.45**20, rel=1e-14)


def test_keeps_two_numbers_per_parameter_and_two_per_tensor() -> None:
    state = NAdam.rule.init_state(torch.zeros(1000), NAdam.rule.hyper())
    assert state.keys() == {"step", "mu_product", "exp_avg", "exp_avg_sq"}
    assert sum(value.nbytes for value in state.values()) == 2 * 1000 * 4 + 4 + 8
