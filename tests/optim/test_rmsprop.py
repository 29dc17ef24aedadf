import numpy as np
import pytest
import torch

from optlab.optim import RMSprop
from tests.optim.paths import Array, assert_close, path, random_gradients, start


def formula(grads: Array, w: Array, lr: float, beta: float, eps: float, inside: bool) -> Array:
    """Row OPT-26 with both places of eps."""
    v, points = np.zeros_like(w), []
    for g in grads:
        v = beta * v + (1 - beta) * g**2
        w = w - lr * g / (np.sqrt(v + eps) if inside else np.sqrt(v) + eps)
        points.append(w)
    return np.array(points)


@pytest.mark.parametrize("placement", ["outside", "inside"])
@pytest.mark.parametrize("beta", [0.0, 0.9, 0.99])
def test_equals_the_formula_in_numpy(placement: str, beta: float) -> None:
    grads = random_gradients()
    expected = formula(grads.numpy(), start((4, 3)).numpy(), 0.1, beta, 1e-3, placement == "inside")
    ours = path(RMSprop, grads, lr=0.1, alpha=beta, eps=1e-3, eps_placement=placement)
    assert_close(ours, expected, 1e-12)


def test_two_steps_by_hand() -> None:
    # lr 1, alpha 0.75, eps 0, gradients 2, 2 from w = 0:
    #   v = 0.25 * 4 = 1              step 2 / 1 = 2
    #   v = 0.75 * 1 + 1 = 1.75       step 2 / 1.322876 = 1.511858
    points = path(RMSprop, torch.tensor([[2.0], [2.0]]), lr=1.0, alpha=0.75, eps=0.0)
    moved = start((1,), torch.float32) - points.flatten()
    assert_close(moved, torch.tensor([2.0, 3.511858]), 1e-6)


@pytest.mark.parametrize("alpha", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("eps", [1e-8, 1e-3])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_equals_torch(alpha: float, eps: float, weight_decay: float) -> None:
    grads = random_gradients()
    options = {"lr": 0.01, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
    assert_close(
        path(RMSprop, grads, **options), path(torch.optim.RMSprop, grads, **options), 1e-12
    )


@pytest.mark.parametrize(("placement", "step"), [("outside", 9.90099), ("inside", 0.0999950)])
def test_place_of_eps_decides_the_step_for_small_gradients(placement: str, step: float) -> None:
    # Row OPT-26: g = 1e-5, alpha = 0.99 give sqrt(v) = 1e-6; with eps = 1e-8 the step is
    # 1e-5 / 1.01e-6 outside the root and 1e-5 / sqrt(1e-12 + 1e-8) under it.
    grads = torch.full((1, 1), 1e-5, dtype=torch.float64)
    moved = start((1,)) - path(RMSprop, grads, lr=1.0, eps_placement=placement)[0]
    assert moved.item() == pytest.approx(step, rel=1e-6)


def test_first_step_is_long_because_the_average_begins_at_zero() -> None:
    # Row OPT-26: lr / sqrt(1 - beta), 3.16 lr at beta 0.9, whatever the gradient.
    grads = torch.tensor([[0.01, 1.0, -100.0]], dtype=torch.float64)
    moved = start((3,)) - path(RMSprop, grads, lr=1.0, alpha=0.9, eps=0.0)[0]
    assert_close(moved, grads[0].sign() * 10**0.5, 1e-12)


def test_steps_on_a_constant_gradient_settle_at_lr() -> None:
    # Row OPT-24: unlike Adagrad's, they do not go to zero.
    points = path(RMSprop, torch.full((1000, 1), 5.0, dtype=torch.float64), lr=0.1, alpha=0.9)
    # 0.9^1000 is 2e-46: the average has forgotten its start; what is left is eps / 5.
    assert (points[-2] - points[-1]).item() == pytest.approx(0.1, rel=1e-8)


def test_keeps_one_number_per_parameter() -> None:
    # Row OPT-33; the step counter is one number per tensor.
    state = RMSprop.rule.init_state(torch.zeros(1000), RMSprop.rule.hyper())
    assert sum(value.nbytes for value in state.values()) == 1000 * 4 + 4
