"""Transforms against their papers in NumPy, torch's and others' own, and their limits."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import pytorch_optimizer
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from optlab.config import ConfigError
from optlab.optim import (
    NAG,
    SGD,
    Adam,
    AdamW,
    Lion,
    Momentum,
    Rule,
    averaged,
    cautious,
    ewma,
    lookahead,
    with_transforms,
)
from tests.optim.networks import network, random, train
from tests.optim.paths import Array, assert_close, path, random_gradients, start

GRADS = random_gradients(steps=40)


def iterates(make: Any, grads: Tensor, **options: Any) -> Tensor:
    """Return the point at which ``make([param], **options)`` is judged after each step."""
    param = nn.Parameter(start(tuple(grads.shape[1:]), grads.dtype))
    optimizer, points = make([param], **options), []
    for grad in grads:
        param.grad = grad.clone()
        optimizer.step()
        points.append(optimizer.iterates()[0])
    return torch.stack(points)


def cautious_adamw(grads: Array, w: Array, lr: float, decay: float) -> Array:
    """Liang et al. (2024), Algorithm 1 on Adam's step; the decay is not masked."""
    m, v, points = np.zeros_like(w), np.zeros_like(w), []
    for t, g in enumerate(grads, start=1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g**2
        u = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        mask = u * g > 0
        w = w - lr * decay * w - lr * u * mask * w.size / (mask.sum() + 1)
        points.append(w)
    return np.array(points)


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("shape", [(), (5,), (4, 3)], ids=str)
def test_cautious_equals_the_formula_in_numpy(decay: float, shape: tuple[int, ...]) -> None:
    grads = random_gradients(shape=shape)
    ours = path(with_transforms(AdamW, cautious), grads, lr=0.1, weight_decay=decay)
    # The step is the difference of two points: it is rounded as they are.
    assert_close(ours, cautious_adamw(grads.numpy(), start(shape).numpy(), 0.1, decay), 1e-12)


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_cautious_lion_equals_that_of_pytorch_optimizer(decay: float) -> None:
    options = {"lr": 0.01, "betas": (0.9, 0.99), "weight_decay": decay}
    ours = path(with_transforms(Lion, cautious), GRADS, **options)
    theirs = partial(pytorch_optimizer.Lion, cautious=True, foreach=False)
    assert_close(ours, path(theirs, GRADS, **options), 1e-12)


def test_cautious_moves_nothing_against_the_gradient_and_enlarges_the_rest() -> None:
    rule = cautious(Momentum.rule)
    param, grad = torch.zeros(4), torch.tensor([1.0, -1.0, 1.0, 0.0])
    state = {"momentum_buffer": torch.full((4,), 10.0)}
    new, _ = rule.update(grad, param, state, rule.hyper(lr=0.5, momentum=0.5))
    # Two of four agree: 4 / (2 + 1) times the velocity of 5.5.
    assert new.tolist() == pytest.approx([-22 / 3, 0.0, -22 / 3, 0.0])


def test_cautious_sees_the_signs_of_numbers_whose_product_is_zero() -> None:
    rule, tiny = cautious(SGD.rule), torch.full((2,), 1e-30)
    new, _ = rule.update(tiny, torch.zeros(2), {}, rule.hyper(lr=1.0))
    assert (tiny * tiny).sum() == 0
    assert (new < 0).all()


def test_cautious_without_momentum_is_a_shorter_step_in_the_same_direction() -> None:
    # Everything agrees: n / (n + 1) of the step.
    whole, ours = (
        path(SGD, GRADS[:1], lr=0.1),
        path(with_transforms(SGD, cautious), GRADS[:1], lr=0.1),
    )
    first = start((4, 3))
    assert_close(ours[0] - first, (whole[0] - first) * 12 / 13, 1e-14)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99])
def test_the_corrected_average_is_that_of_a_series(decay: float) -> None:
    average = with_transforms(Adam, averaged)
    expected = path(Adam, GRADS, lr=0.1)[:, 1, 2]
    ours = iterates(average, GRADS, lr=0.1, ema_decay=decay)[:, 1, 2]
    assert_close(ours, ewma(expected, decay, bias_correction=True), 1e-12)


def test_the_average_without_correction_equals_torchs_averaged_model() -> None:
    model = network().double()
    make = with_transforms(SGD, partial(averaged, decay=0.8, bias_correction=False))
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.8))
    theirs.update_parameters(model)  # the first call copies
    optimizer = make(model.parameters(), lr=0.1)
    for step in range(10):
        optimizer.zero_grad()
        model(random(8, 4, seed=step).double()).square().mean().backward()
        optimizer.step()
        theirs.update_parameters(model)
    for ours, other in zip(optimizer.iterates(), theirs.parameters(), strict=True):
        assert_close(ours, other.detach(), 1e-14)


def test_averaging_leaves_the_training_as_it_is() -> None:
    assert torch.equal(
        path(with_transforms(NAG, averaged), GRADS, lr=0.1), path(NAG, GRADS, lr=0.1)
    )


def test_what_is_averaged_is_the_iterate_of_the_rule() -> None:
    inner = iterates(NAG, GRADS, lr=0.1)
    assert not torch.equal(inner, path(NAG, GRADS, lr=0.1))
    ours = iterates(with_transforms(NAG, averaged), GRADS, lr=0.1, ema_decay=0.0)
    assert torch.equal(ours, inner)


@pytest.mark.parametrize("inner", [SGD, NAG])
def test_before_the_first_update_the_average_is_where_the_parameter_is(inner: Any) -> None:
    for correction in (False, True):
        rule = averaged(inner.rule, bias_correction=correction)
        param, hyper = start((3,)), rule.hyper()
        assert rule.iterate is not None
        assert torch.equal(rule.iterate(param, rule.init_state(param, hyper), hyper), param)


def slow_adam(grads: Array, w: Array, steps: int, alpha: float) -> tuple[Array, Array]:
    """Zhang et al. (2019), Algorithm 1 on Adam, whose state goes on; fast and slow points."""
    m, v, slow = np.zeros_like(w), np.zeros_like(w), w
    fasts, slows = [], []
    for t, g in enumerate(grads, start=1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g**2
        w = w - 0.1 * m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        if t % steps == 0:
            w = slow = slow + alpha * (w - slow)
        fasts.append(w)
        slows.append(slow)
    return np.array(fasts), np.array(slows)


@pytest.mark.parametrize("steps", [1, 3, 7])
@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_lookahead_equals_the_formula_in_numpy(steps: int, alpha: float) -> None:
    make = with_transforms(Adam, partial(lookahead, steps=steps))
    options = {"lr": 0.1, "lookahead_alpha": alpha}
    fast, slow = slow_adam(GRADS.numpy(), start((4, 3)).numpy(), steps, alpha)
    assert_close(path(make, GRADS, **options), fast, 1e-12)
    assert_close(iterates(make, GRADS, **options), slow, 1e-12)


def test_lookahead_equals_that_of_pytorch_optimizer() -> None:
    def theirs(params: Any) -> torch.optim.Optimizer:
        inner = torch.optim.SGD(params, lr=0.1, momentum=0.9)
        return pytorch_optimizer.Lookahead(inner, k=4, alpha=0.7)

    make = with_transforms(Momentum, partial(lookahead, steps=4, alpha=0.7))
    ours = path(make, GRADS, lr=0.1, momentum=0.9, lr_in_buffer=False)
    assert_close(ours, path(theirs, GRADS), 1e-12)


def test_lookahead_all_the_way_is_the_rule_itself() -> None:
    make = with_transforms(Adam, partial(lookahead, steps=3, alpha=1.0))
    assert torch.equal(path(make, GRADS, lr=0.1), path(Adam, GRADS, lr=0.1))


def test_where_fast_weights_meet_slow_ones_lookahead_is_judged_at_the_iterate_of_the_rule() -> None:
    make = with_transforms(NAG, partial(lookahead, steps=3, alpha=1.0))
    ours = iterates(make, GRADS, lr=0.1)[2::3]
    assert torch.equal(ours, iterates(NAG, GRADS, lr=0.1)[2::3])


def test_transforms_go_from_the_inside_out() -> None:
    once = partial(lookahead, steps=2)
    outside = with_transforms(Momentum, averaged, once), with_transforms(Momentum, once, averaged)
    judged = [iterates(make, GRADS, lr=0.01, ema_decay=0.0) for make in outside]
    fast = path(outside[0], GRADS, lr=0.01)
    # Lookahead outside: the average knows the fast weights alone, before they are drawn back.
    assert torch.equal(judged[0][::2], fast[::2])
    assert not torch.equal(judged[1][::2], fast[::2])


def test_two_parts_of_a_new_state_share_no_memory() -> None:
    rule = lookahead(SGD.rule, steps=2)
    hyper, param = rule.hyper(lr=0.1), start((3,))
    state: dict[str, Any] = {"lookahead_step": 0.0, "lookahead_param": start((3,))}
    for _ in range(2):
        before = param, state["lookahead_param"]
        param, state = rule.update(torch.ones(3).double(), param, state, hyper)
        places = {t.data_ptr() for t in (*before, param, state["lookahead_param"])}
        assert len(places) == 4


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (partial(averaged, decay=1.0), r"decay must be in \[0, 1\), got 1.0 \(averaged.decay\)"),
        (partial(lookahead, steps=0), r"steps must be in \[1, inf\), got 0 \(lookahead.steps\)"),
        (partial(lookahead, alpha=0.0), r"alpha must be in \(0, 1\], got 0.0 \(lookahead.alpha\)"),
    ],
)
def test_strengths_out_of_range_are_refused(transform: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        transform(SGD.rule)


@pytest.mark.parametrize("transform", [averaged, lookahead])
def test_a_transform_is_applied_once(transform: Any) -> None:
    with pytest.raises(ConfigError, match="already: a transform is applied once"):
        transform(transform(SGD.rule))


def test_strengths_may_differ_from_run_to_run_of_a_stack() -> None:
    rule: Rule = averaged(lookahead(SGD.rule, steps=2))
    values = {
        "lookahead_alpha": torch.tensor([0.2, 1.0], dtype=torch.float64),
        "ema_decay": torch.tensor([0.0, 0.9], dtype=torch.float64),
    }
    first = rule.init_state(torch.zeros(3), rule.hyper())
    state = {name: value.expand(2, *value.shape) for name, value in first.items()}
    params, grad = torch.zeros(2, 3), torch.ones(3)

    def update(p: Tensor, s: dict[str, Tensor], numbers: dict[str, Tensor]) -> Any:
        return rule.update(grad, p, s, rule.hyper(lr=1.0).with_values(**numbers))

    for _ in range(2):
        params, state = torch.vmap(update)(params, state, values)
    assert params[:, 0].tolist() == pytest.approx([-0.4, -2.0])
    # Judged were 0 and then -2 alpha; of two values the corrected average has shares 0.9 and 1.
    assert state["ema_param"][:, 0].tolist() == pytest.approx([-0.4, -2.0 / 1.9])


def test_a_late_average_forgets_where_training_began() -> None:
    model = network()
    optimizer = with_transforms(SGD, averaged)(model.parameters(), lr=0.01, ema_decay=0.5)
    train(model, optimizer, steps=1)
    assert all(map(torch.equal, optimizer.iterates(), model.parameters()))
