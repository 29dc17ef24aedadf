from typing import Any

import numpy as np
import pytest
import pytorch_optimizer
import torch
from torch import Tensor, nn

from optlab.optim import LAMB, Adam
from tests.optim.paths import Array, assert_close, path, random_gradients, start


def formula(
    grads: Array, w: Array, lr: float, b1: float, b2: float, eps: float, decay: float,
    correct: bool, always: bool,
) -> Array:  # fmt: skip
    """You et al. (2020), Algorithm 2, with the variants that other libraries have."""
    m, v, points = np.zeros_like(w), np.zeros_like(w), []
    for t, g in enumerate(grads, start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat = m / (1 - b1**t) if correct else m
        v_hat = v / (1 - b2**t) if correct else v
        u = m_hat / (np.sqrt(v_hat) + eps) + decay * w
        size, length = np.sqrt((w**2).sum()), np.sqrt((u**2).sum())
        adapt = (always or decay > 0) and size > 0 and length > 0
        w = w - lr * (size / length if adapt else 1.0) * u
        points.append(w)
    return np.array(points)


@pytest.mark.parametrize("shape", [(), (5,), (4, 3)], ids=str)
@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("correct", [True, False])
@pytest.mark.parametrize("always", [True, False])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.5)])
def test_equals_the_formula_in_numpy(
    shape: tuple[int, ...], decay: float, correct: bool, always: bool, betas: tuple[float, float]
) -> None:
    grads = random_gradients(shape=shape)
    expected = formula(
        grads.numpy(), start(shape).numpy(), 0.01, *betas, 1e-3, decay, correct, always
    )
    ours = path(
        LAMB,
        grads,
        lr=0.01,
        betas=betas,
        eps=1e-3,
        weight_decay=decay,
        bias_correction=correct,
        always_adapt=always,
    )
    assert_close(ours, expected, 1e-12)


def pytorch_optimizers(params: Any, **options: Any) -> torch.optim.Optimizer:
    """Return the LAMB of pytorch_optimizer where it has no correction and decay in the update.

    It then differs from ours by eps in the ratio, which the tests set to 0, and by counting at most
    10 of the norm of a parameter, which they stay below.
    """
    return pytorch_optimizer.Lamb(
        params, eps=0.0, weight_decouple=False, adam_debias=True, foreach=False, **options
    )


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.9)])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_without_correction_equals_pytorch_optimizer(
    betas: tuple[float, float], decay: float
) -> None:
    grads = random_gradients()
    options: dict[str, Any] = {"lr": 0.01, "betas": betas, "weight_decay": decay}
    theirs = path(pytorch_optimizers, grads, **options)
    assert theirs.flatten(1).norm(dim=1).max() < 10
    # The same formula, whose norms are summed in another order.
    assert_close(path(LAMB, grads, eps=0.0, bias_correction=False, **options), theirs, 1e-12)


def test_correction_matters_only_with_decay_or_eps() -> None:
    # It multiplies the direction by one number, which the ratio divides out again.
    grads = random_gradients()
    options: dict[str, Any] = {"lr": 0.01, "eps": 0.0}
    theirs = path(pytorch_optimizers, grads, lr=0.01, weight_decay=0.0)
    assert_close(path(LAMB, grads, weight_decay=0.0, **options), theirs, 1e-12)
    with_decay = path(LAMB, grads, weight_decay=0.1, **options)
    raw = path(LAMB, grads, weight_decay=0.1, bias_correction=False, **options)
    assert (with_decay - raw).abs().max() > 1e-3


def test_two_steps_by_hand() -> None:
    # lr 0.1, betas 0.9 and 0.999, eps and decay 0; one element, w = -2, gradients 2 and -1: the
    # direction has norm 1 after the ratio, so w moves by lr |w| against the sign of m.
    #   m = 0.2                w = -2 - 0.1 * 2 = -2.2
    #   m = 0.18 - 0.1 > 0     w = -2.2 - 0.1 * 2.2 = -2.42
    rule = LAMB.rule
    hyper = rule.hyper(lr=0.1, eps=0.0, weight_decay=0.0)
    w = torch.tensor([-2.0], dtype=torch.float64)
    state, seen = rule.init_state(w, hyper), []
    for g in (2.0, -1.0):
        w, state = rule.update(torch.tensor([g], dtype=torch.float64), w, state, hyper)
        seen.append(w.item())
    assert seen == pytest.approx([-2.2, -2.42], rel=1e-14)


def test_every_step_has_length_lr_times_the_norm() -> None:
    points = torch.cat([start((4, 3))[None], path(LAMB, random_gradients(), lr=0.02)])
    length, norm = points.diff(dim=0).flatten(1).norm(dim=1), points[:-1].flatten(1).norm(dim=1)
    assert_close(length / norm, torch.full((50,), 0.02, dtype=torch.float64), 1e-12)


def test_larger_weights_take_larger_steps() -> None:
    # Without decay, the path from 8 w is 8 times the path from w (exact: 8 is a power of 2).
    def walk(scale: float) -> Tensor:
        hyper, w = LAMB.rule.hyper(lr=0.1, weight_decay=0.0), scale * start((4, 3))
        state = LAMB.rule.init_state(w, hyper)
        for grad in random_gradients(steps=10):
            w, state = LAMB.rule.update(grad, w, state, hyper)
        return w

    assert torch.equal(walk(8.0), 8 * walk(1.0))


def moved(make: Any, tensors: list[Tensor], **options: Any) -> list[Tensor]:
    params = [nn.Parameter(tensor.clone()) for tensor in tensors]
    optimizer = make(params, **options)
    for param in params:
        param.grad = torch.linspace(1, 2, param.numel(), dtype=param.dtype).view_as(param)
    optimizer.step()
    return [param.detach() for param in params]


def test_a_tensor_of_zeros_takes_the_step_of_adam() -> None:
    zeros = [torch.zeros(4, 3, dtype=torch.float64)]
    ours, adam = moved(LAMB, zeros, eps=1e-8), moved(Adam, zeros)
    assert_close(ours[0], adam[0], 1e-15)


def test_tensors_without_decay_are_adams_where_the_ratio_is_not_for_them() -> None:
    grads = random_gradients()
    ours = path(LAMB, grads, eps=1e-8, weight_decay=0.0, always_adapt=False)
    assert_close(ours, path(Adam, grads), 1e-12)


def test_decay_may_differ_between_runs_of_a_stack() -> None:
    # Where only tensors with decay adapt, each run decides by its own number.
    rule, param, grad = LAMB.rule, start((4, 3)), random_gradients(steps=1)[0]
    hyper = rule.hyper(always_adapt=False)
    decays = torch.tensor([0.0, 0.5], dtype=torch.float64)

    def step(decay: Tensor) -> Tensor:
        values = hyper.with_values(weight_decay=decay)
        return rule.update(grad, param, rule.init_state(param, values), values)[0]

    stack = torch.vmap(step)(decays)
    for run, decay in enumerate(decays.tolist()):
        alone = path(LAMB, grad[None], weight_decay=decay, always_adapt=False)[0]
        assert_close(stack[run], alone, 1e-15)


def test_keeps_two_numbers_per_parameter() -> None:
    # The step counter is one number per tensor.
    state = LAMB.rule.init_state(torch.zeros(1000), LAMB.rule.hyper())
    assert sum(value.nbytes for value in state.values()) == 2 * 1000 * 4 + 4
