import itertools

import numpy as np
import pytest
import torch

from optlab.optim import RAdam
from optlab.optim.math import rectification
from tests.optim.paths import Array, assert_close, path, random_gradients, start

BETAS = [(0.9, 0.999), (0.5, 0.9), (0.9, 0.5)]


def formula(grads: Array, w: Array, lr: float, b1: float, b2: float, eps: float) -> Array:
    """Liu et al. (2020), Algorithm 2, with the bound 5 and the eps of the authors' code."""
    m, v, points = np.zeros_like(w), np.zeros_like(w), []
    rho_inf = 2 / (1 - b2) - 1
    for t, g in enumerate(grads, start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat, rho = m / (1 - b1**t), rho_inf - 2 * t * b2**t / (1 - b2**t)
        if rho > 5:
            top, bottom = (rho - 4) * (rho - 2) * rho_inf, (rho_inf - 4) * (rho_inf - 2) * rho
            w = w - lr * m_hat * np.sqrt(top / bottom) * np.sqrt(1 - b2**t) / (np.sqrt(v) + eps)
        else:
            w = w - lr * m_hat
        points.append(w)
    return np.array(points)


@pytest.mark.parametrize("betas", BETAS)
@pytest.mark.parametrize("eps", [1e-8, 1e-2])
def test_equals_the_formula_in_numpy(betas: tuple[float, float], eps: float) -> None:
    grads = random_gradients()
    expected = formula(grads.numpy(), start((4, 3)).numpy(), 0.1, *betas, eps)
    assert_close(path(RAdam, grads, lr=0.1, betas=betas, eps=eps), expected, 1e-12)


@pytest.mark.parametrize(
    ("betas", "weight_decay", "decoupled", "maximize"),
    list(itertools.product(BETAS, [0.0, 0.1], [False, True], [False, True])),
)
def test_equals_torch(
    betas: tuple[float, float], weight_decay: float, decoupled: bool, maximize: bool
) -> None:
    grads = random_gradients()
    options = {
        "lr": 0.01,
        "betas": betas,
        "weight_decay": weight_decay,
        "decoupled_weight_decay": decoupled,
        "maximize": maximize,
    }
    assert_close(path(RAdam, grads, **options), path(torch.optim.RAdam, grads, **options), 1e-12)


def test_first_step_is_lr_times_the_gradient() -> None:
    grads = torch.tensor([[1e-4, -3.0, 1e4]], dtype=torch.float64)
    assert_close(path(RAdam, grads, lr=0.1)[0], start((3,)) - 0.1 * grads[0], 1e-12)


def test_five_plain_steps_then_normalized_ones() -> None:
    # A constant gradient of 50: the mean is 50 and the corrected root is 50.
    grads = torch.full((8, 1), 50.0, dtype=torch.float64)
    points = path(RAdam, grads, lr=0.1, eps=0.0)
    steps = -points.diff(dim=0, prepend=start((1,))[None]).flatten()
    assert RAdam.plain_steps == 5
    assert_close(steps[:5], torch.full((5,), 5.0, dtype=torch.float64), 1e-12)
    assert (steps[5:] < 0.1).all()
    assert (steps[5:].diff() > 0).all()


def test_rectification_rises_to_one() -> None:
    # beta2 = 0.9, so rho_inf = 19; 0.9^400 is 5e-19.
    factors = [rectification(0.9, t) for t in range(1, 401)]
    assert factors == sorted(factors)
    assert factors[-1] == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("beta2", [0.0, 1 / 3, 0.6, 2 / 3])
def test_a_short_memory_is_never_trusted(beta2: float) -> None:
    # rho_inf <= 5; at 1/3 and 0.6 it is 2 and 4, where the factor's formula divides by zero.
    grads = random_gradients()
    single = path(RAdam, grads, lr=0.1, betas=(0.9, beta2)) - start((4, 3))
    double = path(RAdam, 2 * grads, lr=0.1, betas=(0.9, beta2)) - start((4, 3))
    assert_close(double, 2 * single, 1e-12)


def test_overflow_of_the_mean_of_squares_spares_plain_steps() -> None:
    grads = torch.full((2, 3), 1e20)
    assert path(RAdam, grads, lr=1e-20).isfinite().all()


def test_keeps_two_numbers_per_parameter() -> None:
    state = RAdam.rule.init_state(torch.zeros(1000), RAdam.rule.hyper())
    assert state.keys() == {"step", "exp_avg", "exp_avg_sq"}
    assert sum(value.nbytes for value in state.values()) == 2 * 1000 * 4 + 4
