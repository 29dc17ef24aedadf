import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from optlab.config import ConfigError
from optlab.optim import Adafactor
from tests.optim.paths import Array, assert_close, path, random_gradients, start

SHAPES = [(), (5,), (4, 3), (2, 3, 4)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def formula(
    grads: Array, w: Array, lr: float, tau: float, eps: tuple[float, float], d: float, decay: float
) -> Array:
    """Shazeer and Stern (2018), Algorithms 4 and 5, with torch's places for lr and eps1."""
    r = c = v = np.float64(0.0)
    points = []
    for t, g in enumerate(grads, start=1):
        alpha = max(eps[1], np.sqrt((w**2).mean())) * min(lr, t**-0.5)
        w = w - lr * decay * w
        beta = 1 - t**tau
        if g.ndim > 1:
            r = beta * r + (1 - beta) * (g**2).sum(axis=-1)
            c = beta * c + (1 - beta) * (g**2).sum(axis=-2)
            # Sums here, as in the paper; the bound is one of means.
            divisor = np.maximum(r.sum(axis=-1), eps[0] * g.shape[-1] * g.shape[-2])
            v_hat = r[..., :, None] * c[..., None, :] / divisor[..., None, None]
        else:
            v = beta * v + (1 - beta) * g**2
            v_hat = v
        u = g / np.maximum(np.sqrt(v_hat), eps[0])
        w = w - alpha * u / max(1.0, np.sqrt((u**2).mean()) / d)
        points.append(w)
    return np.array(points)


CASES = list(itertools.product([0.01, 0.5], [-0.8, -0.2], [(1e-3, 1e-3), (10.0, 2.0)], [0.0, 0.1]))


@every_shape
@pytest.mark.parametrize("d", [1.0, 2.0])
@pytest.mark.parametrize(("lr", "tau", "eps", "decay"), CASES)
def test_equals_the_formula_in_numpy(
    shape: tuple[int, ...], lr: float, tau: float, eps: tuple[float, float], d: float, decay: float
) -> None:
    grads = random_gradients(steps=30, shape=shape)
    expected = formula(grads.numpy(), start(shape).numpy(), lr, tau, eps, d, decay)
    ours = path(Adafactor, grads, lr=lr, beta2_decay=tau, eps=eps, d=d, weight_decay=decay)
    assert_close(ours, expected, 1e-12)


@every_shape
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lr": 0.5, "beta2_decay": -0.3, "d": 3.0, "weight_decay": 0.1},
        {"eps": (1e-2, 0.5), "maximize": True},
        {"beta2_decay": 0.0, "eps": (None, 10.0)},
    ],
    ids=str,
)
def test_equals_torch(shape: tuple[int, ...], options: dict[str, Any]) -> None:
    grads = random_gradients(steps=30, shape=shape)
    theirs = path(torch.optim.Adafactor, grads, **options)
    assert_close(path(Adafactor, grads, **options), theirs, 1e-12)


def test_small_squares_are_bounded_where_torch_bounds_them() -> None:
    # Gradients of 0.01 and eps1 = 1e-3: the mean of R is 1e-4, below the bound, but the root of
    # V = R C / eps1 = 1e-5 is above it. The first step is 0.01 / 0.0032 long before d.
    grads = torch.full((3, 4, 3), 0.01, dtype=torch.float64)
    options: dict[str, Any] = {"eps": (1e-3, 1.0), "d": 10.0}
    ours = path(Adafactor, grads, **options)
    assert_close(ours, path(torch.optim.Adafactor, grads, **options), 1e-12)
    assert_close(start((4, 3)) - ours[0], torch.full_like(ours[0], 0.01 * 10**0.5), 1e-12)


def test_equals_torch_in_float32() -> None:
    # 30 steps of a few roundings each, 6e-8 apiece; values are of order 1.
    grads = random_gradients(steps=30, dtype=torch.float32)
    assert_close(path(Adafactor, grads), path(torch.optim.Adafactor, grads), 1e-6)


@every_shape
@pytest.mark.parametrize("direction", ["to torch", "from torch"])
def test_a_run_goes_on_in_torch_and_back(shape: tuple[int, ...], direction: str) -> None:
    first, second = Adafactor, torch.optim.Adafactor
    if direction == "from torch":
        first, second = second, first  # type: ignore[assignment, misc]
    grads = random_gradients(steps=8, shape=shape)
    param = nn.Parameter(start(shape))
    before, after = first([param], lr=0.02), second([param], lr=0.5)
    for step, grad in enumerate(grads):
        if step == 4:
            after.load_state_dict(before.state_dict())
        param.grad = grad.clone()
        (before if step < 4 else after).step()
    assert_close(param.detach(), path(first, grads, lr=0.02)[-1], 1e-12)


def test_two_steps_by_hand() -> None:
    # One number, lr 0.1, beta2_decay -1, d 1; w = 2, gradients 3 and 1:
    #   t = 1: V = 9              u = 1               step 2 * 0.1            w = 1.8
    #   t = 2: V = (9 + 1) / 2    u = 1 / sqrt(5)     step 1.8 * 0.1 * u      w = 1.8 - 0.0804984
    rule = Adafactor.rule
    hyper = rule.hyper(lr=0.1, beta2_decay=-1.0)
    w = torch.tensor([2.0], dtype=torch.float64)
    state, seen = rule.init_state(w, hyper), []
    for g in (3.0, 1.0):
        w, state = rule.update(torch.tensor([g], dtype=torch.float64), w, state, hyper)
        seen.append(w.item())
    assert seen == pytest.approx([1.8, 1.7195016], abs=1e-7)


def test_squares_of_rank_one_are_remembered_exactly() -> None:
    # The first step then divides each element by its own size, as it does for a vector.
    rows, columns = torch.tensor([1.0, 3.0, 0.1]).double(), torch.tensor([2.0, -0.5]).double()
    matrix = torch.outer(rows, columns)
    moved = path(Adafactor, matrix[None])[0] - start((3, 2))
    size = 0.01 * start((3, 2)).square().mean().sqrt()
    assert_close(moved, -size * matrix.sign(), 1e-12)


def test_a_tensor_of_more_axes_is_a_stack_of_matrices() -> None:
    # Bounds aside: the sizes of parameter and update are those of the whole tensor.
    rule, hyper = Adafactor.rule, Adafactor.rule.hyper()
    grads = random_gradients(steps=2, shape=(2, 3, 4))
    whole, parts = rule.init_state(grads[0], hyper), [rule.init_state(grads[0][0], hyper)] * 2
    for grad in grads:
        _, whole = rule.update(grad, grad, whole, hyper)
        parts = [rule.update(g, g, s, hyper)[1] for g, s in zip(grad, parts, strict=True)]
    for name in ("row_var", "col_var"):
        assert_close(whole[name], torch.stack([part[name] for part in parts]), 1e-15)


@pytest.mark.parametrize(("scale", "relative"), [(1.0, 0.01), (1e-6, 1e-3 / 1e-6 * 0.01)])
def test_steps_are_relative_to_the_parameter_down_to_eps2(scale: float, relative: float) -> None:
    w = torch.full((50,), scale, dtype=torch.float64)
    grad = random_gradients(steps=1, shape=(50,))[0]
    hyper = Adafactor.rule.hyper()
    new, _ = Adafactor.rule.update(grad, w, Adafactor.rule.init_state(w, hyper), hyper)
    assert (new - w).square().mean().sqrt().item() / scale == pytest.approx(relative, rel=1e-12)


def test_sudden_gradients_do_not_lengthen_the_step() -> None:
    # After 20 steps V remembers gradients of 1; a gradient of 1000 gives u far above d = 1.
    grads = torch.ones(21, 4, dtype=torch.float64)
    grads[-1] = 1000.0
    points = path(Adafactor, grads)
    size = points[-2].square().mean().sqrt()
    assert (points[-1] - points[-2]).square().mean().sqrt() == pytest.approx(0.01 * size)


def test_epsilon_goes_by_each_parameter() -> None:
    # torch takes that of the group's first parameter. A gradient of 1e-10 is below float32's 1e-7
    # and above float64's 2e-16.
    def moved(*params: nn.Parameter) -> list[Tensor]:
        for param in params:
            param.grad = torch.full_like(param, 1e-10)
        before = [param.detach().clone() for param in params]
        Adafactor(params).step()
        return [b - p.detach() for b, p in zip(before, params, strict=True)]

    narrow, wide = moved(nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1).double()))
    assert wide.item() == pytest.approx(0.01)
    assert abs(narrow.item()) < 1e-4


def test_bounds_may_differ_between_runs_of_a_stack() -> None:
    rule, param, grad = Adafactor.rule, start((4, 3)), random_gradients(steps=1)[0]
    bounds = torch.tensor([1e-3, 1e3], dtype=torch.float64)

    def step(eps1: Tensor) -> Tensor:
        hyper = rule.hyper().with_values(eps1=eps1)
        return rule.update(grad, param, rule.init_state(param, hyper), hyper)[0]

    stack = torch.vmap(step)(bounds)
    for run, eps1 in enumerate(bounds.tolist()):
        assert_close(stack[run], path(Adafactor, grad[None], eps=(eps1, 1e-3))[0], 1e-15)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta2_decay": 0.5}, r"beta2_decay must be in \(-inf, 0\], got 0.5"),
        ({"d": 0.5}, r"d must be in \[1, inf\), got 0.5"),
        ({"eps": (-1.0, 1e-3)}, r"eps1 must be in \[0, inf\), got -1.0"),
        ({"eps": (None, None)}, "eps2 must be a number in .*, got None"),
        ({"eps": 1e-3}, r"eps must be 2 numbers \(eps1, eps2\)"),
    ],
)
def test_what_cannot_be_used_is_refused_and_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Adafactor([nn.Parameter(torch.ones(1))], **options)


def test_keeps_one_number_per_row_and_column_of_a_matrix() -> None:
    # The step counter is one number per tensor.
    state = Adafactor.rule.init_state(torch.zeros(300, 200), Adafactor.rule.hyper())
    assert sum(value.nbytes for value in state.values()) == (300 + 200) * 4 + 4
    state = Adafactor.rule.init_state(torch.zeros(300), Adafactor.rule.hyper())
    assert sum(value.nbytes for value in state.values()) == 300 * 4 + 4
