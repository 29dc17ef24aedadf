"""What holds for every class with any allowed options: hypothesis makes them up.

Symmetries of the rules themselves are in test_rule_properties.py.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn

from optlab.optim import Hyper, RuleOptimizer
from optlab.optim.rule import with_numbers
from optlab.types import Range
from tests.optim.lockstep import CLASSES, Driver, Params, every_class, every_driver, lockstep

OptimizerClass = type[RuleOptimizer]
elementwise = pytest.mark.parametrize(
    "make", [pytest.param(m, id=n) for m, n in CLASSES.items() if m.rule.elementwise]
)


def begins_alike(make: OptimizerClass) -> bool:
    """Return whether the first state is the same wherever the parameter begins."""
    zero, one = (make.rule.init_state(torch.full((2,), x), make.rule.hyper()) for x in (0.0, 1.0))
    return all(torch.equal(zero[name], one[name]) for name in zero)


GRADIENT_DECAY = [
    pytest.param(make, id=name)
    for make, name in CLASSES.items()
    if "weight_decay" not in make.rule.hyper.float_names()
]
#: A state that begins with the parameter, such as a lookahead's, does so before the decay.
DECAY_FIRST = [p for p in GRADIENT_DECAY if begins_alike(p.values[0])]
few = settings(max_examples=10)
SHAPES = [(2, 3), (4,), ()]


@st.composite
def hypers(draw: st.DrawFn, hyper: type[Hyper], form: dict[str, Any] | None = None) -> Hyper:
    """Draw allowed hyperparameters: numbers up to 1.5, and any form but where one is given."""
    hints, values = get_type_hints(hyper, include_extras=True), dict[str, Any]()
    for name, hint in hints.items():
        if name in hyper.float_names():
            allowed = next(extra for extra in get_args(hint) if isinstance(extra, Range))
            low, high = max(allowed.low, -1.5), min(allowed.high, 1.5)
            opened = {
                "exclude_min": allowed.open_low and low == allowed.low,
                "exclude_max": allowed.open_high and high == allowed.high,
            }
            values[name] = draw(st.floats(low, high, allow_subnormal=False, **opened))
        elif form is None and (hint is bool or get_origin(hint) is Literal):
            values[name] = draw(st.sampled_from((False, True) if hint is bool else get_args(hint)))
    return hyper(**{**values, **(form or {})})


def options_of(make: OptimizerClass, hyper: Hyper) -> dict[str, Any]:
    """Return hyperparameters as the options of a class."""
    optimizer = make.from_hyper([nn.Parameter(torch.ones(1))], hyper)
    names = {f.name for f in dataclasses.fields(hyper)} | set(hyper.PACKED)
    return {name: value for name, value in optimizer.defaults.items() if name in names}


@st.composite
def problems(draw: st.DrawFn, shapes: Sequence[tuple[int, ...]]) -> tuple[list[Tensor], Any]:
    """Draw starting points and gradients of 3 steps, elements orders of magnitude apart."""
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    spread = draw(st.floats(0.0, 2.0))

    def numbers(shape: tuple[int, ...]) -> Tensor:
        noise, size = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
        return (noise * 10 ** (spread * size)).to(dtype)

    return [numbers(s) for s in shapes], [[numbers(s) for s in shapes] for _ in range(3)]


def train(
    build: Callable[[Params], torch.optim.Optimizer],
    first: Sequence[Tensor],
    grads: Sequence[Sequence[Tensor]],
    before: Callable[[Params], None] | None = None,
) -> list[Tensor]:
    """Return where parameters are after steps along given gradients."""
    params = [nn.Parameter(tensor.clone()) for tensor in first]
    optimizer = build(params)
    for step in grads:
        for param, grad in zip(params, step, strict=True):
            param.grad = grad.clone()
        if before is not None:
            with torch.no_grad():
                before(params)
        optimizer.step()
    return [param.detach() for param in params]


def assert_equal(a: Sequence[Tensor], b: Sequence[Tensor], tolerance: float = 0.0) -> None:
    torch.testing.assert_close(list(a), list(b), rtol=tolerance, atol=tolerance, equal_nan=True)


@every_driver
@every_class
@few
@given(data=st.data())
def test_a_class_applies_its_rule(
    make: OptimizerClass, driver: Driver, data: st.DataObject
) -> None:
    hyper, (first, grads) = data.draw(hypers(make.rule.hyper)), data.draw(problems(SHAPES))
    missing = data.draw(st.sets(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=4))

    def backward(step: int, params: Params) -> None:
        for index, param in enumerate(params):
            param.grad = None if (step, index) in missing else grads[step][index].clone()

    lockstep(
        make, first, driver, steps=3, backward=backward, moves=False, **options_of(make, hyper)
    )


@every_driver
@elementwise
@few
@given(data=st.data(), cut=st.integers(1, 39))
def test_a_tensor_in_two_pieces_moves_as_one(
    make: OptimizerClass, driver: Driver, data: st.DataObject, cut: int
) -> None:
    options = options_of(make, data.draw(hypers(make.rule.hyper)))
    (whole,), grads = data.draw(problems([(40,)]))

    def build(params: Params) -> torch.optim.Optimizer:
        return make(params, **options, **driver)

    (moved,) = train(build, [whole], grads)
    pieces = train(
        build, whole.split([cut, 40 - cut]), [g[0].split([cut, 40 - cut]) for g in grads]
    )
    assert_equal([moved], [torch.cat(pieces)])


@every_driver
@every_class
@few
@given(data=st.data(), order=st.permutations(range(3)), cut=st.integers(1, 2))
def test_the_order_of_parameters_and_their_groups_do_not_matter(
    make: OptimizerClass, driver: Driver, data: st.DataObject, order: list[int], cut: int
) -> None:
    options = options_of(make, data.draw(hypers(make.rule.hyper)))
    first, grads = data.draw(problems(SHAPES))

    def in_one_group(params: Params) -> torch.optim.Optimizer:
        return make(params, **options, **driver)

    def in_two_groups(params: Params) -> torch.optim.Optimizer:
        groups = [{"params": params[:cut]}, {"params": params[cut:], **options}]
        return make(groups, **options, **driver)

    moved = train(in_one_group, first, grads)
    shuffled = train(
        in_two_groups, [first[i] for i in order], [[g[i] for i in order] for g in grads]
    )
    assert_equal([moved[i] for i in order], shuffled)


@every_driver
@pytest.mark.parametrize("make", GRADIENT_DECAY)
@few
@given(data=st.data(), decay=st.floats(1e-3, 1.0))
def test_coupled_decay_is_a_part_of_the_gradient(
    make: OptimizerClass, driver: Driver, data: st.DataObject, decay: float
) -> None:
    options = options_of(make, data.draw(hypers(make.rule.hyper)))
    first, grads = data.draw(problems(SHAPES))

    def add_decay(params: Params) -> None:
        for param in params:
            assert param.grad is not None
            param.grad = param.grad + decay * param

    inside = train(lambda p: make(p, weight_decay=decay, **options, **driver), first, grads)
    by_hand = train(lambda p: make(p, **options, **driver), first, grads, add_decay)
    assert_equal(inside, by_hand)


@every_driver
@pytest.mark.parametrize("make", DECAY_FIRST)
@few
@given(data=st.data(), decay=st.floats(1e-3, 1.0))
def test_decoupled_decay_shrinks_parameters_before_the_step(
    make: OptimizerClass, driver: Driver, data: st.DataObject, decay: float
) -> None:
    options = options_of(make, data.draw(hypers(make.rule.hyper)))
    first, grads = data.draw(problems(SHAPES))
    decoupled = {"weight_decay": decay, "decoupled_weight_decay": True}

    def shrink(params: Params) -> None:
        for param in params:
            param.mul_(1 - options["lr"] * decay)

    inside = train(lambda p: make(p, **decoupled, **options, **driver), first, grads)
    by_hand = train(lambda p: make(p, **options, **driver), first, grads, shrink)
    assert_equal(inside, by_hand)


@every_driver
@every_class
@few
@given(data=st.data(), decay=st.sampled_from([0.0, 0.25]))
def test_ascent_is_descent_of_the_negated_loss(
    make: OptimizerClass, driver: Driver, data: st.DataObject, decay: float
) -> None:
    options = {**options_of(make, data.draw(hypers(make.rule.hyper))), "weight_decay": decay}
    first, grads = data.draw(problems(SHAPES))
    negated = [[-g for g in step] for step in grads]
    up = train(lambda p: make(p, maximize=True, **options, **driver), first, grads)
    assert_equal(up, train(lambda p: make(p, **options, **driver), first, negated))


@every_driver
@every_class
@few
@given(data=st.data(), decay=st.sampled_from([0.0, 0.25]))
def test_a_mirrored_problem_has_the_mirrored_solution(
    make: OptimizerClass, driver: Driver, data: st.DataObject, decay: float
) -> None:
    options = {**options_of(make, data.draw(hypers(make.rule.hyper))), "weight_decay": decay}
    first, grads = data.draw(problems(SHAPES))

    def build(params: Params) -> torch.optim.Optimizer:
        return make(params, **options, **driver)

    mirrored = train(build, [-p for p in first], [[-g for g in step] for step in grads])
    assert_equal([-p for p in mirrored], train(build, first, grads))


@elementwise
@few
@given(data=st.data())
def test_a_stack_of_runs_makes_the_steps_of_each_alone(
    make: OptimizerClass, data: st.DataObject
) -> None:
    rule = make.rule
    first_hyper = data.draw(hypers(rule.hyper))
    static = {
        f.name: getattr(first_hyper, f.name)
        for f in dataclasses.fields(first_hyper)
        if f.name not in rule.hyper.float_names()
    }
    runs = [first_hyper, *(data.draw(hypers(rule.hyper, static)) for _ in range(2))]
    (points,), grads = data.draw(problems([(3, 2, 3)]))
    numbers = {
        name: torch.tensor([getattr(run, name) for run in runs], dtype=torch.float64)
        for name in rule.hyper.float_names()
    }

    def init(param: Tensor, values: dict[str, Tensor]) -> dict[str, Tensor]:
        state = rule.init_state(param, first_hyper.with_values(**values))
        zero = param.flatten()[0] * 0
        return {name: value + zero.to(value.dtype) for name, value in state.items()}

    def update(g: Tensor, p: Tensor, s: dict[str, Tensor], values: dict[str, Tensor]) -> Any:
        return rule.update(g, p, s, first_hyper.with_values(**values))

    stack, state = points, torch.vmap(init)(points, numbers)
    for (grad,) in grads:
        stack, state = torch.vmap(update)(grad, stack, state, numbers)
    for index, run in enumerate(runs):
        point, own = points[index], with_numbers(rule.init_state(points[index], run), rule)
        for (grad,) in grads:
            point, own = rule.update(grad[index], point, own, run)
        # A vectorised power may differ in its last bit, which 1 - beta^t magnifies for beta near 1.
        assert_equal([stack[index]], [point], tolerance=1e-6)
