import itertools

import numpy as np
import pytest
import torch
from torch import nn

from optlab.config import ConfigError
from optlab.optim import Adam, AdamW
from tests.optim.paths import Array, assert_close, path, random_gradients, start


def formula(
    grads: Array, w: Array, lr: float, b1: float, b2: float, eps: float, decay: float, largest: bool
) -> Array:
    """Loshchilov and Hutter (2019), Algorithm 2, with lr before the decay; AMSGrad on demand."""
    m, v, u, points = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w), []
    for t, g in enumerate(grads, start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        u = np.maximum(u, v) if largest else v
        step = m / (1 - b1**t) / (np.sqrt(u / (1 - b2**t)) + eps)
        w = w - lr * step - lr * decay * w
        points.append(w)
    return np.array(points)


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.01, 2.0])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.5)])
def test_equals_the_formula_in_numpy(
    betas: tuple[float, float], decay: float, amsgrad: bool
) -> None:
    grads = random_gradients()
    expected = formula(
        grads.numpy(), start((4, 3)).numpy(), 0.1, *betas, 1e-3, decay, largest=amsgrad
    )
    options = {"lr": 0.1, "betas": betas, "eps": 1e-3, "weight_decay": decay, "amsgrad": amsgrad}
    assert_close(path(AdamW, grads, **options), expected, 1e-12)


@pytest.mark.parametrize(
    ("betas", "weight_decay", "amsgrad", "maximize"),
    list(itertools.product([(0.9, 0.999), (0.5, 0.9)], [0.0, 0.1], [False, True], [False, True])),
)
def test_equals_torch(
    betas: tuple[float, float], weight_decay: float, amsgrad: bool, maximize: bool
) -> None:
    grads = random_gradients()
    options = {
        "lr": 0.01,
        "betas": betas,
        "weight_decay": weight_decay,
        "amsgrad": amsgrad,
        "maximize": maximize,
    }
    assert_close(path(AdamW, grads, **options), path(torch.optim.AdamW, grads, **options), 1e-12)


def test_defaults_give_the_path_of_torch() -> None:
    grads = random_gradients()
    assert_close(path(AdamW, grads), path(torch.optim.AdamW, grads), 1e-12)


def test_first_step_shrinks_by_the_decay_and_goes_lr_against_the_sign() -> None:
    grads = torch.tensor([[1e-4, -3.0, 1e4]], dtype=torch.float64)
    point = path(AdamW, grads, lr=0.1, eps=0.0, weight_decay=0.5)[0]
    assert_close(point, 0.95 * start((3,)) - 0.1 * grads[0].sign(), 1e-12)


def test_is_adam_with_decoupled_decay() -> None:
    grads = random_gradients()
    adam = path(Adam, grads, lr=0.01, weight_decay=0.3, decoupled_weight_decay=True)
    assert torch.equal(path(AdamW, grads, lr=0.01, weight_decay=0.3), adam)


def test_decay_does_not_depend_on_the_gradients() -> None:
    # Under the same gradients two starting points approach each other by 1 - lr * decay per step.
    grads, hyper = random_gradients(30), AdamW.rule.hyper(lr=0.1, weight_decay=0.5)
    ends = []
    for point in (start((4, 3)) + 2, start((4, 3)) - 2):
        state = AdamW.rule.init_state(point, hyper)
        for grad in grads:
            point, state = AdamW.rule.update(grad, point, state, hyper)
        ends.append(point)
    expected = torch.full((4, 3), 4 * 0.95**30, dtype=torch.float64)
    assert_close(ends[0] - ends[1], expected, 1e-12)


def test_state_of_adam_with_coupled_decay_is_refused() -> None:
    params = [nn.Parameter(torch.ones(3))]
    coupled = torch.optim.Adam(params, weight_decay=0.1)
    with pytest.raises(ConfigError, match="decoupled_weight_decay=False"):
        AdamW(params).load_state_dict(coupled.state_dict())


@pytest.mark.parametrize(("amsgrad", "numbers"), [(False, 2), (True, 3)])
def test_keeps_what_adam_keeps(amsgrad: bool, numbers: int) -> None:
    state, like = (
        make.rule.init_state(torch.zeros(1000), make.rule.hyper(amsgrad=amsgrad))
        for make in (AdamW, Adam)
    )
    assert state.keys() == like.keys()
    assert sum(value.nbytes for value in state.values()) == numbers * 1000 * 4 + 4
