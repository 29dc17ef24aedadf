import itertools

import numpy as np
import pytest
import torch

from optlab.config import ConfigError
from optlab.optim import Adam, RMSprop
from tests.optim.paths import Array, assert_close, path, random_gradients, start


def formula(
    grads: Array, w: Array, lr: float, b1: float, b2: float, eps: float, inside: bool, correct: bool
) -> Array:
    """Kingma and Ba (2015), Algorithm 1, with the notes' variants."""
    m, v, points = np.zeros_like(w), np.zeros_like(w), []
    for t, g in enumerate(grads, start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat = m / (1 - b1**t) if correct else m
        v_hat = v / (1 - b2**t) if correct else v
        w = w - lr * m_hat / (np.sqrt(v_hat + eps) if inside else np.sqrt(v_hat) + eps)
        points.append(w)
    return np.array(points)


@pytest.mark.parametrize("placement", ["outside", "inside"])
@pytest.mark.parametrize("correct", [True, False])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.5), (0.99, 0.9)])
def test_equals_the_formula_in_numpy(
    placement: str, correct: bool, betas: tuple[float, float]
) -> None:
    grads = random_gradients()
    expected = formula(
        grads.numpy(), start((4, 3)).numpy(), 0.1, *betas, 1e-3, placement == "inside", correct
    )
    ours = path(
        Adam,
        grads,
        lr=0.1,
        betas=betas,
        eps=1e-3,
        eps_placement=placement,
        bias_correction=correct,
    )
    assert_close(ours, expected, 1e-12)


def test_two_steps_by_hand() -> None:
    # lr 0.1, betas 0.9 and 0.999, eps 0, gradients 2 and -1 from w = -1:
    #   m = 0.2           v = 0.004       m_hat = 2     v_hat = 4        step 0.1
    #   m = 0.18 - 0.1    v = 0.004996    m_hat = 0.08 / 0.19 = 0.421053
    #                     v_hat = 0.004996 / 0.001999 = 2.499250, root 1.580902, step 0.0266337
    points = path(Adam, torch.tensor([[2.0], [-1.0]], dtype=torch.float64), lr=0.1, eps=0.0)
    assert_close(points.flatten(), np.array([-1.1, -1.1266337]), 1e-7)


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize(
    ("betas", "eps", "weight_decay", "maximize"),
    list(itertools.product([(0.9, 0.999), (0.5, 0.9)], [1e-8, 1e-2], [0.0, 0.1], [False, True])),
)
def test_equals_torch(
    betas: tuple[float, float], eps: float, weight_decay: float, maximize: bool, amsgrad: bool
) -> None:
    grads = random_gradients()
    options = {
        "lr": 0.01,
        "betas": betas,
        "eps": eps,
        "weight_decay": weight_decay,
        "maximize": maximize,
        "amsgrad": amsgrad,
    }
    assert_close(path(Adam, grads, **options), path(torch.optim.Adam, grads, **options), 1e-12)


def test_equals_torch_in_float32() -> None:
    # 50 steps of a few roundings each, 6e-8 apiece; values are of order 1.
    grads = random_gradients(dtype=torch.float32)
    assert_close(path(Adam, grads, lr=0.01), path(torch.optim.Adam, grads, lr=0.01), 1e-6)


def test_first_step_is_lr_against_the_sign() -> None:
    grads = torch.tensor([[1e-4, -3.0, 1e4]], dtype=torch.float64)
    moved = path(Adam, grads, lr=0.1, eps=0.0)[0] - start((3,))
    assert_close(moved, -0.1 * grads[0].sign(), 1e-12)


@pytest.mark.parametrize(("placement", "step"), [("outside", 0.990099), ("inside", 0.0099995)])
def test_place_of_eps_decides_the_step_for_small_gradients(placement: str, step: float) -> None:
    # Row OPT-30 and erratum E12: g = 1e-6, eps = 1e-8; m_hat = g and v_hat = g^2 at the first step.
    grads = torch.full((1, 1), 1e-6, dtype=torch.float64)
    moved = start((1,)) - path(Adam, grads, lr=1.0, eps_placement=placement)[0]
    assert moved.item() == pytest.approx(step, rel=1e-6)


def test_steps_on_a_constant_gradient_are_lr_with_correction_and_longer_without() -> None:
    # Row OPT-31. Without correction step t is lr (1 - 0.9^t) / sqrt(1 - 0.999^t).
    grads = torch.full((10, 1), 5.0, dtype=torch.float64)
    origin = start((1,))[None]
    steps = -path(Adam, grads, lr=0.1, eps=0.0).diff(dim=0, prepend=origin)
    assert_close(steps, torch.full_like(steps, 0.1), 1e-12)
    raw = -path(Adam, grads, lr=0.1, eps=0.0, bias_correction=False).diff(dim=0, prepend=origin)
    t = torch.arange(1, 11, dtype=torch.float64)
    assert_close(raw.flatten(), 0.1 * (1 - 0.9**t) / (1 - 0.999**t).sqrt(), 1e-12)
    # The inventory's values, printed to three decimals.
    assert_close(raw[:3].flatten(), np.array([0.316, 0.425, 0.495]), 5e-4)


def test_without_momentum_and_correction_is_rmsprop() -> None:
    grads = random_gradients()
    ours = path(Adam, grads, lr=0.01, betas=(0.0, 0.9), bias_correction=False)
    assert_close(ours, path(RMSprop, grads, lr=0.01, alpha=0.9, eps=1e-8), 1e-12)


def amsgrad_formula(grads: Array, w: Array, lr: float, b1: float, b2: float) -> Array:
    """Reddi, Kale and Kumar (2018), Algorithm 2, at a constant rate."""
    m, v, largest, points = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w), []
    for g in grads:
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        largest = np.maximum(largest, v)
        w = w - lr * m / np.sqrt(largest)
        points.append(w)
    return np.array(points)


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.5), (0.99, 0.9)])
def test_amsgrad_without_correction_is_the_formula_of_its_paper(
    betas: tuple[float, float],
) -> None:
    grads = random_gradients()
    expected = amsgrad_formula(grads.numpy(), start((4, 3)).numpy(), 0.1, *betas)
    options = {"lr": 0.1, "betas": betas, "eps": 0.0, "bias_correction": False}
    assert_close(path(Adam, grads, amsgrad=True, **options), expected, 1e-12)
    assert not torch.equal(path(Adam, grads, **options), torch.as_tensor(expected))


def test_amsgrad_never_forgets_a_large_gradient_and_adam_does() -> None:
    # v is (1 - beta2) 100^2 = 1000 after the spike; amsgrad divides by its root from then on, Adam
    # by a root that falls to 1, at 0.9 per step from 1000 - 1 downwards.
    grads = torch.ones(40, 1, dtype=torch.float64)
    grads[0] = 100.0
    options = {"lr": 1.0, "betas": (0.0, 0.9), "eps": 0.0, "bias_correction": False}
    largest, adam = (
        -path(Adam, grads, amsgrad=on, **options).diff(dim=0).flatten() for on in (True, False)
    )
    t = torch.arange(1, 40, dtype=torch.float64)
    assert_close(largest, torch.full_like(t, 1000**-0.5), 1e-12)
    assert_close(adam, (1 + 999 * 0.9**t) ** -0.5, 1e-12)


def test_amsgrad_takes_the_maximum_before_the_correction() -> None:
    # As torch. Gradients 1 and 0.1, beta1 = 0, beta2 = 0.9: v is 0.1 and then 0.091; the second
    # divisor is sqrt(0.1 / 0.19). With the correction first it would be 1.
    grads = torch.tensor([[1.0], [0.1]], dtype=torch.float64)
    points = path(Adam, grads, lr=1.0, betas=(0.0, 0.9), eps=0.0, amsgrad=True)
    assert (points[0] - points[1]).item() == pytest.approx(0.1 / (0.1 / 0.19) ** 0.5, rel=1e-12)


def test_beta_of_one_is_refused_by_name() -> None:
    with pytest.raises(
        ConfigError, match=r"beta2 must be in \[0, 1\), got 1.0 \(optimizer.beta2\)"
    ):
        Adam.rule.hyper(beta2=1.0)


@pytest.mark.parametrize(("amsgrad", "numbers"), [(False, 2), (True, 3)])
def test_keeps_two_numbers_per_parameter_and_three_with_amsgrad(
    amsgrad: bool, numbers: int
) -> None:
    # Row OPT-33; the step counter is one number per tensor.
    state = Adam.rule.init_state(torch.zeros(1000), Adam.rule.hyper(amsgrad=amsgrad))
    assert sum(value.nbytes for value in state.values()) == numbers * 1000 * 4 + 4
