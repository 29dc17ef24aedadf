import numpy as np
import pytest
import torch

from optlab.optim import Adamax
from tests.optim.paths import Array, assert_close, path, random_gradients, start


def formula(grads: Array, w: Array, lr: float, b1: float, b2: float, eps: float) -> Array:
    """Kingma and Ba (2015), Algorithm 2, with torch's eps."""
    m, u, points = np.zeros_like(w), np.zeros_like(w), []
    for t, g in enumerate(grads, start=1):
        m = b1 * m + (1 - b1) * g
        u = np.maximum(b2 * u, np.abs(g) + eps)
        w = w - lr / (1 - b1**t) * m / u
        points.append(w)
    return np.array(points)


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.5), (0.99, 0.9)])
@pytest.mark.parametrize("eps", [0.0, 1e-8, 1e-2])
def test_equals_the_formula_in_numpy(betas: tuple[float, float], eps: float) -> None:
    grads = random_gradients()
    expected = formula(grads.numpy(), start((4, 3)).numpy(), 0.1, *betas, eps)
    assert_close(path(Adamax, grads, lr=0.1, betas=betas, eps=eps), expected, 1e-12)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("maximize", [False, True])
def test_equals_torch(weight_decay: float, maximize: bool) -> None:
    grads = random_gradients()
    for options in ({}, {"lr": 0.05, "betas": (0.5, 0.9), "eps": 1e-3}):
        options |= {"weight_decay": weight_decay, "maximize": maximize}
        theirs = path(torch.optim.Adamax, grads, **options)
        assert_close(path(Adamax, grads, **options), theirs, 1e-12)


def test_first_step_is_lr_against_the_sign() -> None:
    grads = torch.tensor([[1e-4, -3.0, 1e4]], dtype=torch.float64)
    moved = path(Adamax, grads, lr=0.1, eps=0.0)[0] - start((3,))
    assert_close(moved, -0.1 * grads[0].sign(), 1e-12)


def test_divisor_is_the_infinity_norm_of_fading_gradients() -> None:
    # Section 7.1, equation 12: max over i of beta2^(t - i) |g_i|.
    grads, hyper = random_gradients(30), Adamax.rule.hyper(beta2=0.8, eps=0.0)
    point = torch.zeros(4, 3).double()
    state = Adamax.rule.init_state(point, hyper)
    for grad in grads:
        point, state = Adamax.rule.update(grad, point, state, hyper)
    fading = 0.8 ** torch.arange(29, -1, -1, dtype=torch.float64)[:, None, None]
    assert_close(state["exp_inf"], (fading * grads.abs()).amax(dim=0), 1e-12)


def test_no_step_is_longer_than_about_lr() -> None:
    # (1 - beta1) / (1 - beta1 / beta2) = 1.0091: each mean term is below beta2^-(t - i) times u.
    points = path(Adamax, random_gradients(200), lr=0.1)
    steps = points.diff(dim=0, prepend=start((4, 3))[None]).abs()
    assert steps.max() <= 0.1 * 0.1 / (1 - 0.9 / 0.999)


def test_keeps_two_numbers_per_parameter() -> None:
    state = Adamax.rule.init_state(torch.zeros(1000), Adamax.rule.hyper())
    assert state.keys() == {"step", "exp_avg", "exp_inf"}
    assert sum(value.nbytes for value in state.values()) == 2 * 1000 * 4 + 4
