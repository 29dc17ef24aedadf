import numpy as np
import pytest
import pytorch_optimizer
import torch

from optlab.optim import Lion
from tests.optim.paths import Array, assert_close, path, random_gradients, start


def formula(grads: Array, w: Array, lr: float, b1: float, b2: float, decay: float) -> Array:
    """Chen et al. (2023), Algorithm 2."""
    m, points = np.zeros_like(w), []
    for g in grads:
        c = b1 * m + (1 - b1) * g
        w = w - lr * (np.sign(c) + decay * w)
        m = b2 * m + (1 - b2) * g
        points.append(w)
    return np.array(points)


@pytest.mark.parametrize("decay", [0.0, 0.1, 2.0])
@pytest.mark.parametrize("betas", [(0.9, 0.99), (0.0, 0.5), (0.99, 0.9)])
def test_equals_the_formula_in_numpy(betas: tuple[float, float], decay: float) -> None:
    grads = random_gradients()
    expected = formula(grads.numpy(), start((4, 3)).numpy(), 0.1, *betas, decay)
    assert_close(path(Lion, grads, lr=0.1, betas=betas, weight_decay=decay), expected, 1e-12)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("maximize", [False, True])
def test_equals_pytorch_optimizer(weight_decay: float, maximize: bool) -> None:
    grads = random_gradients()
    for options in ({}, {"lr": 0.05, "betas": (0.5, 0.9)}):
        options |= {"weight_decay": weight_decay, "maximize": maximize}
        theirs = path(pytorch_optimizer.Lion, grads, **options)
        assert_close(path(Lion, grads, **options), theirs, 1e-12)


def test_first_step_shrinks_by_the_decay_and_goes_lr_against_the_sign() -> None:
    grads = torch.tensor([[1e-300, -3.0, 0.0, 1e300]], dtype=torch.float64)
    point = path(Lion, grads, lr=0.1, weight_decay=0.5)[0]
    assert_close(point, 0.95 * start((4,)) - 0.1 * grads[0].sign(), 1e-12)


def test_every_element_moves_by_lr_in_every_step() -> None:
    steps = path(Lion, random_gradients(), lr=0.1).diff(dim=0, prepend=start((4, 3))[None])
    assert_close(steps.abs(), torch.full_like(steps, 0.1), 1e-12)


def test_the_scale_of_each_coordinate_does_not_matter() -> None:
    # Powers of two, so that the signs are those of the same sums.
    grads = random_gradients()
    scales = 2.0 ** torch.arange(-6, 6, dtype=torch.float64).reshape(4, 3)
    assert torch.equal(path(Lion, scales * grads), path(Lion, grads))


@pytest.mark.parametrize(("second", "direction"), [(-0.095, 1.0), (-0.0895, -1.0)])
def test_two_steps_by_hand(second: float, direction: float) -> None:
    # m = 0.01 after the first gradient, 1. The second direction is that of 0.009 + 0.1 g:
    # -0.0005, so up (down if m were kept with beta1: 0.09 - 0.0095), and
    # 0.00005, so down (up if m were updated first: 0.0081045 - 0.00895).
    grads = torch.tensor([[1.0], [second]], dtype=torch.float64)
    points = path(Lion, grads, lr=0.25).flatten()
    assert points.tolist() == [-1.25, -1.25 + 0.25 * direction]


def test_momentum_goes_on_where_the_gradient_is_gone() -> None:
    grads = torch.tensor([[2.0], [0.0], [0.0]], dtype=torch.float64)
    assert path(Lion, grads, lr=0.25).flatten().tolist() == [-1.25, -1.5, -1.75]


def test_keeps_one_number_per_parameter_and_no_counter() -> None:
    state = Lion.rule.init_state(torch.zeros(1000), Lion.rule.hyper())
    assert state.keys() == {"exp_avg"}
    assert sum(value.nbytes for value in state.values()) == 1000 * 4
