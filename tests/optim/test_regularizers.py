import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from optlab.config import ConfigError
from optlab.optim import (
    SGD,
    Adam,
    Momentum,
    Regularizer,
    clip_by_norm,
    clip_by_value,
    decay_step,
    is_weight,
    l1_penalty,
    l2_penalty,
    penalty_gradient,
)

ROWS = 50


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_penalties_by_hand() -> None:
    weight, bias = torch.tensor([[3.0, -4.0]]), torch.tensor([100.0])
    # Rows REG-01, REG-04: lambda / (2 n) = 2 / (2 * 10) = 0.1, times 9 + 16 or 3 + 4.
    assert l2_penalty([weight, bias], 2.0, 10).item() == pytest.approx(2.5)
    assert l1_penalty([weight, bias], 2.0, 10).item() == pytest.approx(0.7)


def test_a_model_without_weights_has_no_penalty() -> None:
    assert l2_penalty([torch.ones(3)], 1.0, 10).item() == 0
    assert l1_penalty([], 1.0, 10).item() == 0


def test_only_matrices_and_kernels_are_weights() -> None:
    shapes: list[tuple[int, ...]] = [(), (3,), (3, 2), (4, 3, 2, 2)]
    assert [is_weight(torch.zeros(s)) for s in shapes] == [False, False, True, True]


@given(l1=st.floats(0, 10), l2=st.floats(0, 10), seed=st.integers(0, 100))
def test_gradient_equals_that_of_autograd(l1: float, l2: float, seed: int) -> None:
    weight = random(3, 4, seed=seed)
    weight[0, 0] = 0.0  # autograd and we take the slope of |w| at 0 as 0
    weight.requires_grad_()
    (l1_penalty([weight], l1, ROWS) + l2_penalty([weight], l2, ROWS)).backward()
    ours = penalty_gradient(weight.detach(), l1, l2, ROWS)
    torch.testing.assert_close(ours, weight.grad, rtol=1e-14, atol=1e-14)


def test_per_run_strengths_keep_the_dtype() -> None:
    strength = torch.tensor(0.5, dtype=torch.float64)
    weight = random(3, 2).float()
    assert penalty_gradient(weight, strength, strength, ROWS).dtype == torch.float32
    assert decay_step(weight, strength, strength).dtype == torch.float32
    # A 0-d gradient too, which would follow a 0-d float64 factor.
    assert {g.dtype for g in clip_by_norm([weight, weight.sum()], strength)} == {torch.float32}
    assert {g.dtype for g in clip_by_value([weight], strength)} == {torch.float32}


def test_keras_constant_is_lambda_over_two_n() -> None:
    # Row REG-03: Keras l2(0.005) adds 0.005 * sum(w^2).
    weight = random(3, 4)
    lam = 0.005 * 2 * ROWS
    torch.testing.assert_close(l2_penalty([weight], lam, ROWS), 0.005 * (weight**2).sum())
    torch.testing.assert_close(l1_penalty([weight], lam, ROWS), 0.005 * weight.abs().sum())


def step(
    make: type[torch.optim.Optimizer], weight: Tensor, grad: Tensor, **options: float
) -> Tensor:
    param = nn.Parameter(weight.clone())
    optimizer = make([param], lr=0.1, **options)  # type: ignore[call-arg]
    for _ in range(3):
        param.grad = grad.clone()
        optimizer.step()
    return param.detach()


@pytest.mark.parametrize("make", [SGD, torch.optim.SGD, Adam, torch.optim.Adam])
def test_torch_weight_decay_is_lambda_over_n(make: type[torch.optim.Optimizer]) -> None:
    # Row REG-02 and E16: adding the penalty's gradient is torch's coupled weight_decay.
    weight, grad, lam = random(3, 4), random(3, 4, seed=1), 2.0
    param = nn.Parameter(weight.clone())
    optimizer = make([param], lr=0.1)  # type: ignore[call-arg]
    for _ in range(3):
        param.grad = grad + penalty_gradient(param.detach(), 0.0, lam, ROWS)
        optimizer.step()
    coupled = step(make, weight, grad, weight_decay=lam / ROWS)
    torch.testing.assert_close(param.detach(), coupled, rtol=1e-12, atol=1e-12)


def decayed(make: type[torch.optim.Optimizer], weight: Tensor, grad: Tensor, lam: float) -> Tensor:
    param = nn.Parameter(weight.clone())
    optimizer = make([param], lr=0.1)  # type: ignore[call-arg]
    for _ in range(3):
        param.data = decay_step(param.data, 0.1, lam / ROWS)
        param.grad = grad.clone()
        optimizer.step()
    return param.detach()


def test_decay_equals_the_penalty_for_gradient_descent() -> None:
    # Row REG-02: (1 - eta lambda / n) w - eta dL/dw.
    weight, grad, lam = random(3, 4), random(3, 4, seed=1), 2.0
    penalized = step(SGD, weight, grad, weight_decay=lam / ROWS)
    torch.testing.assert_close(decayed(SGD, weight, grad, lam), penalized, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("make", [Momentum, Adam])
def test_decay_is_another_method_with_momentum_and_adam(make: type[torch.optim.Optimizer]) -> None:
    # Row REG-02. The decay itself changes weights of order 1 by 3 * 0.1 * 2 / 50, about 1e-2.
    weight, grad, lam = random(3, 4), random(3, 4, seed=1), 2.0
    penalized = step(make, weight, grad, weight_decay=lam / ROWS)
    assert (decayed(make, weight, grad, lam) - penalized).abs().max() > 1e-3


def test_decay_beside_adam_is_adamw() -> None:
    weight, grad, lam = random(3, 4), random(3, 4, seed=1), 2.0
    theirs = step(torch.optim.AdamW, weight, grad, weight_decay=lam / ROWS)
    ours = decayed(Adam, weight, grad, lam)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def clipped_by_torch(clip: object, grads: list[Tensor], limit: float) -> list[Tensor]:
    params = [nn.Parameter(torch.zeros_like(g)) for g in grads]
    for param, grad in zip(params, grads, strict=True):
        param.grad = grad.clone()
    clip(params, limit)  # type: ignore[operator]
    return [param.grad for param in params if param.grad is not None]


@pytest.mark.parametrize("limit", [1e-3, 1.0, 1e3])
def test_clipping_equals_torch(limit: float) -> None:
    # Row GRD-08.
    grads = [random(3, 4), random(5, seed=1), random(seed=2)]
    kept = [g.clone() for g in grads]
    for ours, theirs in (
        (clip_by_norm, nn.utils.clip_grad_norm_),
        (clip_by_value, nn.utils.clip_grad_value_),
    ):
        torch.testing.assert_close(
            ours(grads, limit), clipped_by_torch(theirs, grads, limit), rtol=1e-14, atol=0
        )
    assert all(map(torch.equal, grads, kept))


@given(limit=st.floats(0.01, 10), seed=st.integers(0, 100))
def test_norm_after_clipping_is_at_most_the_limit(limit: float, seed: int) -> None:
    grads = [random(3, 4, seed=seed), random(5, seed=seed + 1)]
    clipped = clip_by_norm(grads, limit)
    assert torch.cat([g.flatten() for g in clipped]).norm() <= limit
    # One factor for all: directions are kept.
    ratio = torch.cat([(c / g).flatten() for c, g in zip(clipped, grads, strict=True)])
    torch.testing.assert_close(ratio, ratio[0].expand_as(ratio), rtol=1e-12, atol=0)


def test_each_run_of_a_stack_has_its_own_limit_and_norm() -> None:
    grads, limits = random(4, 3, 2), torch.tensor([0.1, 1.0, 10.0, 100.0], dtype=torch.float64)
    stacked = torch.vmap(lambda g, limit: clip_by_norm([g], limit)[0])(grads, limits)
    alone = torch.stack(
        [clip_by_norm([g], limit)[0] for g, limit in zip(grads, limits, strict=True)]
    )
    torch.testing.assert_close(stacked, alone, rtol=1e-14, atol=0)
    bounded = torch.vmap(lambda g, limit: clip_by_value([g], limit)[0])(grads, limits)
    assert torch.equal(
        bounded, torch.maximum(torch.minimum(grads, limits[:, None, None]), -limits[:, None, None])
    )


def test_limits_of_a_float32_stack_may_be_float64() -> None:
    grads, limits = random(4, 3, 2).float(), torch.full((4,), 0.1, dtype=torch.float64)
    for clip in (clip_by_norm, clip_by_value):
        stacked = torch.vmap(lambda g, limit, clip=clip: clip([g], limit)[0])(grads, limits)
        assert stacked.dtype == torch.float32


def test_nothing_to_clip() -> None:
    assert clip_by_norm([], 1.0) == []


@pytest.mark.parametrize("field", ["l1", "l2", "decay"])
def test_negative_strength_is_refused(field: str) -> None:
    with pytest.raises(ConfigError, match=rf"{field} must be in \[0, inf\)"):
        Regularizer(**{field: -1.0})


@pytest.mark.parametrize("field", ["clip_norm", "clip_value"])
def test_clipping_to_zero_is_refused(field: str) -> None:
    with pytest.raises(ConfigError, match=rf"{field} must be in \(0, inf\)"):
        Regularizer(**{field: 0.0})
