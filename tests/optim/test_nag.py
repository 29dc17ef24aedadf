import numpy as np
import pytest
import torch
from torch import Tensor, nn

from optlab.optim import NAG, Momentum
from tests.optim.paths import Array, assert_close, path, random_gradients

CURVATURE = np.array([1.0, 10.0, 50.0])


def look_ahead(w: Array, lr: float, beta: float, steps: int) -> tuple[Array, Array]:
    """Row OPT-20 as written there, on f = sum(CURVATURE * w^2) / 2: (iterates, look-aheads)."""
    v, iterates, aheads = np.zeros_like(w), [], []
    for _ in range(steps):
        gradient = CURVATURE * (w - beta * v)
        v = beta * v + lr * gradient
        w = w - v
        iterates.append(w)
        aheads.append(w - beta * v)
    return np.array(iterates), np.array(aheads)


def descend(make: type[torch.optim.Optimizer], **options: object) -> tuple[Tensor, Tensor]:
    """Return (iterates, parameters) of 50 steps on the same function."""
    param = nn.Parameter(torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64))
    optimizer = make([param], **options)  # type: ignore[call-arg]
    iterates, params = [], []
    for _ in range(50):
        param.grad = torch.as_tensor(CURVATURE) * param.detach()
        optimizer.step()
        params.append(param.detach().clone())
        iterates.append(optimizer.iterates()[0] if isinstance(optimizer, NAG) else params[-1])
    return torch.stack(iterates), torch.stack(params)


@pytest.mark.parametrize("lr_in_buffer", [True, False])
@pytest.mark.parametrize("beta", [0.5, 0.9])
def test_equals_the_look_ahead_formula_in_numpy(lr_in_buffer: bool, beta: float) -> None:
    expected = look_ahead(np.array([1.0, -2.0, 3.0]), 0.01, beta, 50)
    actual = descend(NAG, lr=0.01, momentum=beta, lr_in_buffer=lr_in_buffer)
    assert_close(actual[0], expected[0], 1e-12)
    assert_close(actual[1], expected[1], 1e-12)


def test_two_steps_by_hand() -> None:
    # f = w^2 / 2 from w = 1, lr 0.5, beta 0.5 (exact in binary):
    #   y = 1       v = 0.5                    w = 0.5     next y = 0.5 - 0.25 = 0.25
    #   y = 0.25    v = 0.25 + 0.125 = 0.375   w = 0.125   next y = 0.125 - 0.1875 = -0.0625
    hyper = NAG.rule.hyper(lr=0.5, momentum=0.5)
    y = torch.tensor([1.0])
    state, seen = NAG.rule.init_state(y, hyper), []
    assert NAG.rule.iterate is not None
    for _ in range(2):
        y, state = NAG.rule.update(y, y, state, hyper)
        seen.append((NAG.rule.iterate(y, state, hyper).item(), y.item()))
    assert seen == [(0.5, 0.25), (0.125, -0.0625)]


def test_parameters_equal_those_of_torch() -> None:
    grads = random_gradients()
    options = {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1}
    theirs = path(torch.optim.SGD, grads, nesterov=True, **options)
    assert_close(path(NAG, grads, lr_in_buffer=False, **options), theirs, 1e-12)


def test_iterate_is_not_the_parameter_of_torch() -> None:
    # torch keeps the look-ahead point; where the curvature is 50, that is up to half a unit away.
    iterates, _ = descend(NAG, lr=0.01, momentum=0.9)
    _, theirs = descend(torch.optim.SGD, lr=0.01, momentum=0.9, nesterov=True)
    assert (iterates - theirs).abs().max() > 0.3


def test_without_momentum_the_iterate_is_the_parameter() -> None:
    iterates, params = descend(NAG, lr=0.01, momentum=0.0)
    assert torch.equal(iterates, params)


def test_differs_from_momentum_from_the_first_step_on() -> None:
    # Momentum stands at w, NAG already at w - beta v: by hand above, 0.5 and 0.25.
    grads = torch.ones(1, 1, dtype=torch.float64)
    ours = path(NAG, grads, lr=0.5, momentum=0.5)
    assert (path(Momentum, grads, lr=0.5, momentum=0.5) - ours).item() == 0.25


def test_keeps_one_number_per_parameter() -> None:
    # Row OPT-33.
    state = NAG.rule.init_state(torch.zeros(1000), NAG.rule.hyper())
    assert sum(value.nbytes for value in state.values()) == 1000 * 4
