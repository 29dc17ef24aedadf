"""What the update of every registered optimizer promises, in all of its forms.

Properties that need random examples are in tests/optim/test_rule_properties.py.
"""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from optlab.optim import Hyper, Rule
from tests.contract.forms import OptimizerClass, every_form, every_rule, random


def run(rule: Rule, hyper: Hyper, param: Tensor, grads: Tensor) -> tuple[Tensor, dict[str, Any]]:
    state = rule.init_state(param, hyper)
    for grad in grads:
        param, state = rule.update(grad, param, state, hyper)
    return param, state


@every_rule
def test_hyperparameters_begin_with_the_learning_rate(make: OptimizerClass) -> None:
    assert dataclasses.fields(make.rule.hyper)[0].name == "lr"


@every_form
def test_first_step_goes_against_the_gradient(make: OptimizerClass, form: dict[str, Any]) -> None:
    grad, param = random(5, 3, seed=1), random(5, 3, seed=2)
    new, _ = run(make.rule, make.rule.hyper(**form), param, grad[None])
    assert ((new - param) * grad).sum() < 0


@every_form
def test_zero_gradient_moves_nothing_at_first(make: OptimizerClass, form: dict[str, Any]) -> None:
    # Row OPT-22: eps keeps 0 / 0 away.
    param = random(5)
    new, _ = run(make.rule, make.rule.hyper(**form), param, torch.zeros(1, 5))
    assert torch.equal(new, param)


@every_form
def test_update_leaves_its_arguments_alone(make: OptimizerClass, form: dict[str, Any]) -> None:
    rule, hyper = make.rule, make.rule.hyper(**form)
    param, state = run(rule, hyper, random(5, seed=1), random(2, 5, seed=2))
    grad = random(5, seed=3)
    before = [t.clone() for t in (grad, param, *state.values())]
    new_param, new_state = rule.update(grad, param, state, hyper)
    assert all(map(torch.equal, before, (grad, param, *state.values())))
    given = {t.data_ptr() for t in (grad, param, *state.values())}
    assert given.isdisjoint(t.data_ptr() for t in (new_param, *new_state.values()))


@every_form
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("tensor_hyper", [False, True])
def test_state_keeps_names_shapes_and_dtypes(
    make: OptimizerClass, form: dict[str, Any], dtype: torch.dtype, tensor_hyper: bool
) -> None:
    rule, hyper = make.rule, make.rule.hyper(**form)
    if tensor_hyper:
        names = hyper.float_names()
        hyper = hyper.with_values(**{n: torch.tensor(getattr(hyper, n)).double() for n in names})
    param = random(4, 3, dtype=dtype)
    first = rule.init_state(param, hyper)
    new, last = run(rule, hyper, param, random(3, 4, 3, dtype=dtype))
    assert (new.shape, new.dtype) == (param.shape, dtype)
    assert {n: (t.shape, t.dtype) for n, t in first.items()} == {
        n: (t.shape, t.dtype) for n, t in last.items()
    }
    assert all(t.shape == param.shape or t.ndim == 0 for t in first.values())


@every_form
def test_counter_is_a_cpu_float32_that_counts(make: OptimizerClass, form: dict[str, Any]) -> None:
    _, state = run(make.rule, make.rule.hyper(**form), random(3), random(4, 3))
    counter = state.get("step", torch.tensor(4.0))
    assert (counter.item(), counter.dtype, counter.device.type) == (4.0, torch.float32, "cpu")


@every_form
def test_counter_may_be_a_python_number(make: OptimizerClass, form: dict[str, Any]) -> None:
    rule, hyper = make.rule, make.rule.hyper(**form)
    grads, param = random(6, 3, dtype=torch.float64), random(3, dtype=torch.float64)
    expected, _ = run(rule, hyper, param, grads)
    state = rule.init_state(param, hyper)
    state = {n: t.item() if n == "step" else t for n, t in state.items()}
    for grad in grads:
        param, state = rule.update(grad, param, state, hyper)
    # The powers of beta are taken by Python's pow or torch's, which differ in the last bit.
    torch.testing.assert_close(param, expected, rtol=1e-14, atol=1e-15)
    assert all(isinstance(value, float) for name, value in state.items() if name == "step")


@every_form
def test_tensors_end_to_end_are_updated_as_one(make: OptimizerClass, form: dict[str, Any]) -> None:
    rule, hyper = make.rule, make.rule.hyper(**form)
    shapes = [(7,), (3, 5), (2, 2, 2)]
    grads = [random(4, *s, seed=i) for i, s in enumerate(shapes)]
    params = [random(*s, seed=i) for i, s in enumerate(shapes, start=9)]
    alone = [run(rule, hyper, p, g)[0].flatten() for p, g in zip(params, grads, strict=True)]
    flat = torch.cat([p.flatten() for p in params])
    together, _ = run(rule, hyper, flat, torch.cat([g.flatten(1) for g in grads], dim=1))
    assert torch.equal(together, torch.cat(alone)) == rule.elementwise


def stacked_hypers(hyper: Hyper, runs: int) -> dict[str, Tensor]:
    """Return different float64 values for every float field, one per run."""
    factors = torch.linspace(0.5, 1.0, runs, dtype=torch.float64)
    return {name: getattr(hyper, name) * factors for name in hyper.float_names()}


@every_form
def test_a_run_in_a_stack_equals_the_run_alone(make: OptimizerClass, form: dict[str, Any]) -> None:
    rule, hyper, runs, steps = make.rule, make.rule.hyper(**form), 5, 6
    values = stacked_hypers(hyper, runs)
    params, grads = random(runs, 4, 3, seed=1), random(steps, runs, 4, 3, seed=2)

    def init(param: Tensor, numbers: dict[str, Tensor]) -> dict[str, Tensor]:
        # Every entry comes back with a run axis, also the counter.
        state = rule.init_state(param, hyper.with_values(**numbers))
        return {
            n: t + torch.zeros((), dtype=t.dtype) * param.flatten()[0] for n, t in state.items()
        }

    def update(g: Tensor, p: Tensor, s: dict[str, Tensor], n: dict[str, Tensor]) -> Any:
        return rule.update(g, p, s, hyper.with_values(**n))

    stack, state = params, torch.vmap(init)(params, values)
    for step in range(steps):
        stack, state = torch.vmap(update)(grads[step], stack, state, values)
    for r in range(runs):
        numbers = hyper.with_values(**{name: value[r] for name, value in values.items()})
        alone, alone_state = run(rule, numbers, params[r], grads[:, r])
        # Bitwise, although the correction 1 - beta^t of a stack is a vectorised power: its last
        # float64 bit is lost when it meets float32.
        assert torch.equal(stack[r], alone)
        assert all(torch.equal(state[name][r], alone_state[name]) for name in state)


TARGETS = torch.tensor([[1.0, -1.0, 1.0], [1.0, 1.0, 0.0]], dtype=torch.float64)
STARTS = torch.tensor([[-1.0, 10.0, 1.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
LRS = torch.logspace(-4, 0, 17, dtype=torch.float64)


def slopes(points: Tensor) -> Tensor:
    """Return gradients at points of shape (2, L, 3): a parabola, then Rosenbrock's valley."""
    parabola = 2 * (points[0] - TARGETS[0])
    x, y = points[1, :, 0], points[1, :, 1]
    error = y - x * x
    valley = torch.stack([-400 * x * error - 2 * (1 - x), 200 * error, 0 * x], dim=-1)
    return torch.stack([parabola, valley])


@every_rule
def test_reaches_the_minimum_of_a_parabola_and_of_a_curved_valley(make: OptimizerClass) -> None:
    # optax's gate: from [-1, 10, 1] to [1, -1, 1], and on Rosenbrock's function (b = 100) from
    # (0, 0) to (1, 1), within 3e-2 in 10,000 steps; here at the best of 17 rates from 1e-4 to 1,
    # all walked at once, and the rate has to hold the point for 500 steps.
    rule, hyper = make.rule, make.rule.hyper()

    def update(g: Tensor, p: Tensor, s: dict[str, Tensor], lr: Tensor) -> Any:
        return rule.update(g, p, s, hyper.with_values(lr=lr))

    lrs = LRS.repeat(2)
    points = STARTS.repeat_interleave(len(LRS), dim=0)
    first = rule.init_state(points[0], hyper)
    state = {n: t.expand(len(points), *t.shape) for n, t in first.items()}
    walk = torch.vmap(update)
    reached = held = torch.zeros(2, len(LRS), dtype=torch.bool)
    for step in range(1, 10_001):
        grads = slopes(points.view(2, len(LRS), 3)).view_as(points)
        points, state = walk(grads, points, state, lrs)
        if step % 500 == 0:
            distance = (points.view(2, len(LRS), 3) - TARGETS[:, None]).abs().amax(-1)
            held, reached = reached & (distance < 3e-2), distance < 3e-2
            if held.any(dim=1).all():
                return
    pytest.fail(f"rates that hold the minimum: {[LRS[row].tolist() for row in held]}")
