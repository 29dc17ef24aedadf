import numpy as np
import pytest
import torch

from optlab.optim import SGD, Momentum
from tests.optim.paths import Array, assert_close, path, random_gradients, start


def notes_form(grads: Array, w: Array, lr: float, beta: float) -> Array:
    """Row OPT-15: the learning rate is inside the velocity."""
    v, points = np.zeros_like(w), []
    for g in grads:
        v = beta * v + lr * g
        w = w - v
        points.append(w)
    return np.array(points)


def test_three_steps_by_hand() -> None:
    # lr 0.5, beta 0.5, gradients 1, 2, -1 from w = 1 (all numbers exact in binary):
    #   v = 0.5                 w = 0.5
    #   v = 0.25 + 1   = 1.25   w = -0.75
    #   v = 0.625 - 0.5 = 0.125 w = -0.875
    hyper = Momentum.rule.hyper(lr=0.5, momentum=0.5)
    param = torch.tensor([1.0])
    state = Momentum.rule.init_state(param, hyper)
    seen = []
    for g in (1.0, 2.0, -1.0):
        param, state = Momentum.rule.update(torch.tensor([g]), param, state, hyper)
        seen.append((state["momentum_buffer"].item(), param.item()))
    assert seen == [(0.5, 0.5), (1.25, -0.75), (0.125, -0.875)]


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9])
def test_equals_the_formula_in_numpy(beta: float) -> None:
    grads = random_gradients()
    expected = notes_form(grads.numpy(), start((4, 3)).numpy(), 0.03, beta)
    assert_close(path(Momentum, grads, lr=0.03, momentum=beta), expected, 1e-12)


@pytest.mark.parametrize("lr_in_buffer", [True, False])
@pytest.mark.parametrize("beta", [0.5, 0.9, 0.99])
def test_equals_torch_at_constant_lr(lr_in_buffer: bool, beta: float) -> None:
    grads = random_gradients()
    options = {"lr": 0.01, "momentum": beta, "weight_decay": 0.1}
    ours = path(Momentum, grads, lr_in_buffer=lr_in_buffer, **options)
    assert_close(ours, path(torch.optim.SGD, grads, **options), 1e-12)


def test_without_momentum_is_gradient_descent() -> None:
    grads = random_gradients()
    assert torch.equal(path(Momentum, grads, lr=0.1, momentum=0.0), path(SGD, grads, lr=0.1))


def path_with_a_drop(make: type[torch.optim.Optimizer], **options: bool | float) -> torch.Tensor:
    """Return the path under a constant gradient of 1 whose lr falls tenfold after step 25."""
    param = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = make([param], lr=0.1, momentum=0.9, **options)  # type: ignore[call-arg]
    points = []
    for step in range(30):
        optimizer.param_groups[0]["lr"] = 0.1 if step < 25 else 0.01
        param.grad = torch.ones_like(param)
        optimizer.step()
        points.append(param.item())
    return torch.tensor(points)


def test_forms_part_after_a_drop_of_the_learning_rate() -> None:
    notes, torchs = path_with_a_drop(Momentum), path_with_a_drop(torch.optim.SGD)
    assert_close(notes[:25], torchs[:25], 1e-6)
    # At the drop b = (1 - 0.9^25) / 0.1 = 9.282. Over the next 5 steps the notes' velocity goes on
    # with 0.1 b (0.9 + ... + 0.9^5) of old momentum, torch's with 0.01 b (...): 0.09 b * 3.68559.
    momentum = (1 - 0.9**25) / 0.1
    expected = 0.09 * momentum * sum(0.9**k for k in range(1, 6))
    assert (torchs[-1] - notes[-1]).item() == pytest.approx(expected, rel=1e-6)
    assert expected > 3


def test_torch_form_stays_with_torch_after_a_drop() -> None:
    ours = path_with_a_drop(Momentum, lr_in_buffer=False)
    assert_close(ours, path_with_a_drop(torch.optim.SGD), 1e-6)


def test_keeps_one_number_per_parameter() -> None:
    # Row OPT-33.
    state = Momentum.rule.init_state(torch.zeros(1000), Momentum.rule.hyper())
    assert sum(value.nbytes for value in state.values()) == 1000 * 4
