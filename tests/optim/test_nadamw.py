import numpy as np
import pytest
import torch

from optlab.optim import AdamW, NAdamW
from tests.optim.paths import Array, assert_close, path, random_gradients, start


def formula(
    grads: Array, w: Array, lr: float, b1: float, b2: float, eps: float, decay: float
) -> Array:
    """Choi et al. (2019), Table 1, beside a decoupled decay."""
    m, v, points = np.zeros_like(w), np.zeros_like(w), []
    for t, g in enumerate(grads, start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        ahead = b1 * m + (1 - b1) * g
        step = np.sqrt(1 - b2**t) / (1 - b1**t) * ahead / (np.sqrt(v) + eps * np.sqrt(1 - b2**t))
        w = w - lr * step - lr * decay * w
        points.append(w)
    return np.array(points)


@pytest.mark.parametrize("decay", [0.0, 0.01, 2.0])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.5), (0.99, 0.9)])
def test_equals_the_formula_in_numpy(betas: tuple[float, float], decay: float) -> None:
    grads = random_gradients()
    expected = formula(grads.numpy(), start((4, 3)).numpy(), 0.1, *betas, 1e-3, decay)
    ours = path(NAdamW, grads, lr=0.1, betas=betas, eps=1e-3, weight_decay=decay)
    assert_close(ours, expected, 1e-12)


def test_first_step_shrinks_by_the_decay_and_is_one_plus_beta1_long() -> None:
    grads = torch.tensor([[1e-4, -3.0, 1e4]], dtype=torch.float64)
    point = path(NAdamW, grads, lr=0.1, eps=0.0, weight_decay=0.5)[0]
    assert_close(point, 0.95 * start((3,)) - 0.19 * grads[0].sign(), 1e-12)


def test_steps_on_a_constant_gradient_fall_to_lr() -> None:
    # beta1 + (1 - beta1) / (1 - beta1^t) times lr.
    grads = torch.full((30, 1), 5.0, dtype=torch.float64)
    points = path(NAdamW, grads, lr=0.1, eps=0.0, weight_decay=0.0)
    steps = -points.diff(dim=0, prepend=start((1,))[None]).flatten()
    t = torch.arange(1, 31, dtype=torch.float64)
    assert_close(steps, 0.1 * (0.9 + 0.1 / (1 - 0.9**t)), 1e-12)


def test_without_momentum_there_is_nothing_to_look_ahead_of() -> None:
    grads, options = random_gradients(), {"lr": 0.01, "betas": (0.0, 0.9), "weight_decay": 0.1}
    assert_close(path(NAdamW, grads, **options), path(AdamW, grads, **options), 1e-12)


def test_keeps_two_numbers_per_parameter() -> None:
    state = NAdamW.rule.init_state(torch.zeros(1000), NAdamW.rule.hyper())
    assert state.keys() == {"step", "exp_avg", "exp_avg_sq"}
    assert sum(value.nbytes for value in state.values()) == 2 * 1000 * 4 + 4
