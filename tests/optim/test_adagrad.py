import itertools

import numpy as np
import pytest
import torch
from torch import nn

from optlab.optim import Adagrad
from tests.optim.paths import Array, assert_close, path, random_gradients, start


def formula(
    grads: Array, w: Array, lr: float, decay: float, eps: float, inside: bool, first: float
) -> Array:
    """Row OPT-22 with both places of eps, and torch's lr_decay."""
    total, points = np.full_like(w, first), []
    for t, g in enumerate(grads, start=1):
        total = total + g**2
        divisor = np.sqrt(total + eps) if inside else np.sqrt(total) + eps
        w = w - lr / (1 + (t - 1) * decay) * g / divisor
        points.append(w)
    return np.array(points)


@pytest.mark.parametrize("placement", ["outside", "inside"])
@pytest.mark.parametrize(("decay", "first"), [(0.0, 0.0), (0.1, 0.5)])
def test_equals_the_formula_in_numpy(placement: str, decay: float, first: float) -> None:
    grads = random_gradients()
    options = {"lr": 0.1, "lr_decay": decay, "eps": 1e-3, "initial_accumulator_value": first}
    expected = formula(
        grads.numpy(), start((4, 3)).numpy(), 0.1, decay, 1e-3, placement == "inside", first
    )
    assert_close(path(Adagrad, grads, eps_placement=placement, **options), expected, 1e-12)


def test_three_steps_by_hand() -> None:
    # lr 1, eps 0, gradients 3, 4, 12 from w = 0: G = 9, 25, 169, so the steps are
    # 3/3 = 1, 4/5 = 0.8, 12/13 = 0.923077
    steps = path(Adagrad, torch.tensor([[3.0], [4.0], [12.0]]), lr=1.0, eps=0.0).diff(
        dim=0, prepend=start((1,), torch.float32)[None]
    )
    assert_close(-steps.flatten(), torch.tensor([1.0, 0.8, 12 / 13]), 1e-6)


@pytest.mark.parametrize(
    ("decay", "weight_decay", "first"), list(itertools.product([0.0, 0.1], [0.0, 0.1], [0.0, 0.5]))
)
def test_equals_torch(decay: float, weight_decay: float, first: float) -> None:
    grads = random_gradients()
    options = {
        "lr": 0.1,
        "lr_decay": decay,
        "weight_decay": weight_decay,
        "initial_accumulator_value": first,
    }
    assert_close(
        path(Adagrad, grads, **options), path(torch.optim.Adagrad, grads, **options), 1e-12
    )


@pytest.mark.parametrize(("placement", "step"), [("outside", 0.990099), ("inside", 0.0099995)])
def test_place_of_eps_decides_the_step_for_small_gradients(placement: str, step: float) -> None:
    # Row OPT-22: g = 1e-6 and eps = 1e-8 give 1 / (1 + 0.01) or 1e-6 / sqrt(1e-12 + 1e-8).
    grads = torch.full((1, 1), 1e-6, dtype=torch.float64)
    moved = start((1,)) - path(Adagrad, grads, lr=1.0, eps=1e-8, eps_placement=placement)[0]
    assert moved.item() == pytest.approx(step, rel=1e-6)


def test_steps_on_a_constant_gradient_shrink_with_the_root_of_time() -> None:
    # Row OPT-24: step t is lr / sqrt(t).
    points = path(Adagrad, torch.full((100, 1), 5.0, dtype=torch.float64), lr=0.1)
    steps = -points.diff(dim=0, prepend=start((1,))[None]).flatten()
    assert_close(steps, 0.1 / torch.arange(1, 101, dtype=torch.float64).sqrt(), 1e-9)


def test_a_group_uses_its_own_initial_accumulator_value() -> None:
    # torch's class takes the constructor's for every group.
    params = [nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))]
    optimizer = Adagrad(
        [{"params": params[:1]}, {"params": params[1:], "initial_accumulator_value": 3.0}], lr=1.0
    )
    for param in params:
        param.grad = torch.ones(1)
    optimizer.step()
    # 1 / sqrt(0 + 1) and 1 / sqrt(3 + 1)
    assert [param.item() for param in params] == [-1.0, -0.5]


def test_keeps_one_number_per_parameter() -> None:
    # Row OPT-33; the step counter is one number per tensor.
    state = Adagrad.rule.init_state(torch.zeros(1000), Adagrad.rule.hyper())
    assert sum(value.nbytes for value in state.values()) == 1000 * 4 + 4
