import numpy as np
import pytest
import torch

from optlab.optim import Adadelta
from tests.optim.paths import Array, assert_close, path, random_gradients, start


def formula(grads: Array, w: Array, lr: float, rho: float, eps: float) -> Array:
    """Zeiler (2012), Algorithm 1, with a factor lr."""
    squares, deltas, points = np.zeros_like(w), np.zeros_like(w), []
    for g in grads:
        squares = rho * squares + (1 - rho) * g**2
        delta = -np.sqrt(deltas + eps) / np.sqrt(squares + eps) * g
        deltas = rho * deltas + (1 - rho) * delta**2
        w = w + lr * delta
        points.append(w)
    return np.array(points)


@pytest.mark.parametrize("rho", [0.0, 0.9, 0.99])
@pytest.mark.parametrize("eps", [1e-6, 1e-2])
@pytest.mark.parametrize("lr", [1.0, 0.1])
def test_equals_the_formula_in_numpy(lr: float, rho: float, eps: float) -> None:
    grads = random_gradients()
    expected = formula(grads.numpy(), start((4, 3)).numpy(), lr, rho, eps)
    assert_close(path(Adadelta, grads, lr=lr, rho=rho, eps=eps), expected, 1e-12)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("maximize", [False, True])
def test_equals_torch(weight_decay: float, maximize: bool) -> None:
    grads = random_gradients()
    for options in ({}, {"lr": 0.5, "rho": 0.8, "eps": 1e-3}):
        options |= {"weight_decay": weight_decay, "maximize": maximize}
        theirs = path(torch.optim.Adadelta, grads, **options)
        assert_close(path(Adadelta, grads, **options), theirs, 1e-12)


def test_first_step_has_the_size_of_the_root_of_eps() -> None:
    # g^2 is far above eps: sqrt(eps) / sqrt(0.1 g^2) * g.
    grads = torch.tensor([[30.0, -3e3]], dtype=torch.float64)
    moved = path(Adadelta, grads, eps=1e-6)[0] - start((2,))
    assert_close(moved, -((1e-6 / 0.1) ** 0.5) * grads[0].sign(), 1e-7)


def test_steps_on_a_constant_gradient_grow() -> None:
    grads = torch.ones(30, 1, dtype=torch.float64)
    steps = -path(Adadelta, grads).diff(dim=0, prepend=start((1,))[None])
    assert (steps.diff(dim=0) > 0).all()


def test_without_eps_nothing_moves() -> None:
    grads = random_gradients()
    assert torch.equal(path(Adadelta, grads, eps=0.0)[-1], start((4, 3)))


@pytest.mark.parametrize("scale", [0.01, 1e3])
def test_the_unit_of_the_loss_does_not_matter_far_above_eps(scale: float) -> None:
    # Squares of 1e2 and more beside an eps of 1e-6: at most 1e-7 of a step, which is below 1.
    grads = 1e3 * random_gradients().sign()
    scaled = path(Adadelta, grads * scale, eps=1e-6)
    assert_close(scaled, path(Adadelta, grads, eps=1e-6), 1e-6)
    assert (scaled - start((4, 3))).abs().amax(dim=0).min() > 1e-3


def test_keeps_two_numbers_per_parameter() -> None:
    state = Adadelta.rule.init_state(torch.zeros(1000), Adadelta.rule.hyper())
    assert state.keys() == {"step", "square_avg", "acc_delta"}
    assert sum(value.nbytes for value in state.values()) == 2 * 1000 * 4 + 4
