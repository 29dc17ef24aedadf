from itertools import chain

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from torch import Tensor, nn

from optlab.optim import RMSprop
from optlab.optim.rules.rmsprop import variance
from tests.optim.paths import Array, assert_close, path, random_gradients, start


def formula(
    grads: Array,
    w: Array,
    lr: float,
    beta: float,
    eps: float,
    inside: bool,
    centered: bool = False,
    momentum: float = 0.0,
) -> Array:
    """Row OPT-26 with both places of eps; centered and with momentum as in Graves (2013)."""
    v, m, b, points = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w), []
    for g in grads:
        v = beta * v + (1 - beta) * g**2
        m = beta * m + (1 - beta) * g
        s = np.maximum(v - m**2, beta * (1 - beta) / 4 * g**2) if centered else v
        b = momentum * b + g / (np.sqrt(s + eps) if inside else np.sqrt(s) + eps)
        w = w - lr * b
        points.append(w)
    return np.array(points)


@pytest.mark.parametrize("placement", ["outside", "inside"])
@pytest.mark.parametrize("beta", [0.0, 0.9, 0.99])
@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_equals_the_formula_in_numpy(
    placement: str, beta: float, centered: bool, momentum: float
) -> None:
    grads = random_gradients()
    inside = placement == "inside"
    expected = formula(
        grads.numpy(), start((4, 3)).numpy(), 0.1, beta, 1e-3, inside, centered, momentum
    )
    ours = path(
        RMSprop,
        grads,
        lr=0.1,
        alpha=beta,
        eps=1e-3,
        eps_placement=placement,
        centered=centered,
        momentum=momentum,
    )
    # Subtraction loses up to three digits of the variance.
    assert_close(ours, expected, 1e-10 if centered else 1e-12)


def test_two_steps_by_hand() -> None:
    # lr 1, alpha 0.75, eps 0, gradients 2, 2 from w = 0:
    #   v = 0.25 * 4 = 1              step 2 / 1 = 2
    #   v = 0.75 * 1 + 1 = 1.75       step 2 / 1.322876 = 1.511858
    points = path(RMSprop, torch.tensor([[2.0], [2.0]]), lr=1.0, alpha=0.75, eps=0.0)
    moved = start((1,), torch.float32) - points.flatten()
    assert_close(moved, torch.tensor([2.0, 3.511858]), 1e-6)


def test_two_centered_steps_by_hand() -> None:
    # lr 1, alpha 0.75, eps 0, gradients 2, -2 from w = 0:
    #   v = 1      m = 0.5                   s = 1 - 0.25 = 0.75           step 2.309401
    #   v = 1.75   m = 0.375 - 0.5 = -0.125  s = 1.75 - 0.015625 = 1.734375   -1.518652
    grads = torch.tensor([[2.0], [-2.0]])
    points = path(RMSprop, grads, lr=1.0, alpha=0.75, eps=0.0, centered=True)
    moved = start((1,), torch.float32) - points.flatten()
    assert_close(moved, torch.tensor([2.309401, 0.790749]), 1e-6)


@pytest.mark.parametrize("alpha", [0.9, 0.99])
@pytest.mark.parametrize("eps", [1e-8, 1e-3])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_equals_torch(
    alpha: float, eps: float, weight_decay: float, centered: bool, momentum: float
) -> None:
    grads = random_gradients()
    options = {
        "lr": 0.01,
        "alpha": alpha,
        "eps": eps,
        "weight_decay": weight_decay,
        "centered": centered,
        "momentum": momentum,
    }
    # Both lose up to three digits of the variance.
    tolerance = 1e-10 if centered else 1e-12
    assert_close(
        path(RMSprop, grads, **options), path(torch.optim.RMSprop, grads, **options), tolerance
    )


@pytest.mark.parametrize(("placement", "step"), [("outside", 9.90099), ("inside", 0.0999950)])
def test_place_of_eps_decides_the_step_for_small_gradients(placement: str, step: float) -> None:
    # Row OPT-26: g = 1e-5, alpha = 0.99 give sqrt(v) = 1e-6; with eps = 1e-8 the step is
    # 1e-5 / 1.01e-6 outside the root and 1e-5 / sqrt(1e-12 + 1e-8) under it.
    grads = torch.full((1, 1), 1e-5, dtype=torch.float64)
    moved = start((1,)) - path(RMSprop, grads, lr=1.0, eps_placement=placement)[0]
    assert moved.item() == pytest.approx(step, rel=1e-6)


def test_first_step_is_long_because_the_average_begins_at_zero() -> None:
    # Row OPT-26: lr / sqrt(1 - beta), 3.16 lr at beta 0.9, whatever the gradient.
    grads = torch.tensor([[0.01, 1.0, -100.0]], dtype=torch.float64)
    moved = start((3,)) - path(RMSprop, grads, lr=1.0, alpha=0.9, eps=0.0)[0]
    assert_close(moved, grads[0].sign() * 10**0.5, 1e-12)


def test_steps_on_a_constant_gradient_settle_at_lr() -> None:
    # Row OPT-24: unlike Adagrad's, they do not go to zero.
    points = path(RMSprop, torch.full((1000, 1), 5.0, dtype=torch.float64), lr=0.1, alpha=0.9)
    # 0.9^1000 is 2e-46: the average has forgotten its start; what is left is eps / 5.
    assert (points[-2] - points[-1]).item() == pytest.approx(0.1, rel=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_centered_steps_on_a_constant_gradient_settle_at_twice_the_first_and_torchs_explode(
    dtype: torch.dtype,
) -> None:
    # The variance of a constant is zero. torch is left with eps (or with rounding errors).
    grads = torch.ones(3000, 1, dtype=dtype)
    ours, theirs = (
        path(make, grads, lr=1e-3, centered=True) for make in (RMSprop, torch.optim.RMSprop)
    )
    first = 1e-3 / (0.99 * 0.01) ** 0.5
    # A point near -50 is known to 4e-6 in float32.
    assert (ours[-2] - ours[-1]).item() == pytest.approx(2 * first, rel=1e-3)
    assert 0 < (start((1,), dtype) - ours[-1]).item() < 3000 * 2 * first
    assert (start((1,), dtype) - theirs[-1]).item() > 1000


#: Gradients that repeat themselves or nearly so, beside any others.
slopes = st.one_of(
    st.sampled_from([-1.0, 0.0, 1.0, 1.0 + 2**-12, 3.0]),
    st.floats(-1e3, 1e3, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-3),
)
repeated = st.tuples(slopes, st.integers(1, 200)).map(lambda pair: [pair[0]] * pair[1])
series = st.lists(repeated, min_size=1, max_size=4).map(lambda parts: list(chain(*parts)))


@pytest.mark.parametrize("centered", [False, True])
@given(grads=series, alpha=st.floats(0.5, 0.999))
def test_no_step_is_longer_than_the_first_or_centered_than_twice_the_first(
    centered: bool, grads: list[float], alpha: float
) -> None:
    tensor = torch.tensor(grads, dtype=torch.float64)[:, None]
    points = path(RMSprop, tensor, lr=1.0, alpha=alpha, eps=1e-30, centered=centered)
    steps = points.diff(dim=0, prepend=start((1,))[None]).abs()
    longest = 2 * ((1 - alpha) * alpha) ** -0.5 if centered else (1 - alpha) ** -0.5
    # Points reach 1e5, known to 1e-11.
    assert steps.max() <= longest + 1e-10


def welford(grads: list[float], alpha: float) -> Tensor:
    """The variance without a subtraction of squares, where it is larger than the least."""
    s, m = 0.0, 0.0
    for g in grads:
        s, m = alpha * (s + (1 - alpha) * (g - m) ** 2), alpha * m + (1 - alpha) * g
    return torch.tensor(max(s, alpha * (1 - alpha) * grads[-1] ** 2 / 4), dtype=torch.float64)


@given(grads=series)
def test_the_variance_is_never_lost_in_rounding_errors(grads: list[float]) -> None:
    alpha = 0.99
    v, m = torch.zeros(()), torch.zeros(())
    for grad in grads:
        v = alpha * v + (1 - alpha) * grad * grad
        m = alpha * m + (1 - alpha) * grad
    ours = variance(v, m, torch.tensor(grads[-1]), alpha).double()
    # A float32 average of n terms is known to about 1e-5 (up to 800 roundings of 6e-8); the
    # subtraction multiplies that by 1 + 9 / (alpha (1 - alpha)) = 910 at most.
    torch.testing.assert_close(ours, welford(grads, alpha), rtol=910 * 1e-5, atol=1e-38)


@pytest.mark.parametrize("fast", [False, None])
def test_momentum_may_be_raised_from_zero_at_any_time(fast: bool | None) -> None:
    ours, theirs = nn.Parameter(torch.ones(3).double()), nn.Parameter(torch.ones(3).double())
    optimizer, reference = RMSprop([ours], fast=fast), torch.optim.RMSprop([theirs])
    for step in range(6):
        if step == 3:  # torch has no buffer then, and stops
            optimizer.param_groups[0]["momentum"] = reference.param_groups[0]["momentum"] = 0.9
            reference.state[theirs]["momentum_buffer"] = torch.zeros_like(theirs)
        ours.grad = torch.full((3,), 1.0 + step).double()
        theirs.grad = ours.grad.clone()
        optimizer.step()
        reference.step()
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_states_are_those_of_torch(centered: bool, momentum: float) -> None:
    options = {"centered": centered, "momentum": momentum}
    params = [nn.Parameter(start((4,))) for _ in range(3)]
    ours, theirs, heir = (
        make([param], lr=0.1, **options)
        for make, param in zip((RMSprop, torch.optim.RMSprop, RMSprop), params, strict=True)
    )
    for step, grad in enumerate(random_gradients(6, (4,))):
        if step == 3:
            heir.load_state_dict(theirs.state_dict())
            params[2].data.copy_(params[1].data)
        for param in params:
            param.grad = grad.clone()
        for optimizer in (ours, theirs, heir):
            optimizer.step()
    for other, optimizer in ((params[1], theirs), (params[2], heir)):
        mine = ours.state[params[0]]
        assert mine.keys() == optimizer.state[other].keys()
        for name, value in optimizer.state[other].items():
            assert_close(mine[name].double(), value.double(), 1e-12)


def test_keeps_one_number_per_parameter() -> None:
    # Row OPT-33; the step counter is one number per tensor.
    state = RMSprop.rule.init_state(torch.zeros(1000), RMSprop.rule.hyper())
    assert sum(value.nbytes for value in state.values()) == 1000 * 4 + 4
