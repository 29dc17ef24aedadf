"""Symmetries that hold for every rule of a kind, on gradients that hypothesis makes up."""

import math
from dataclasses import fields
from typing import Any, get_args, get_type_hints

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor, nn

from optlab.config import ConfigError
from optlab.optim import Hyper, Rule, RuleOptimizer
from optlab.registry import optimizers
from optlab.types import Range

OptimizerClass = type[RuleOptimizer]
RULES = [pytest.param(make.rule, id=name) for name, make in optimizers.items()]
CLASSES = [pytest.param(make, id=name) for name, make in optimizers.items()]
every_rule = pytest.mark.parametrize("rule", RULES)
every_class = pytest.mark.parametrize("make", CLASSES)

SIZE = 6
ORIGIN = torch.zeros(SIZE, dtype=torch.float64)
sizes = st.floats(2**-10, 2**10, allow_nan=False)
elements = st.builds(lambda size, sign: size * sign, sizes, st.sampled_from([-1.0, 1.0]))


@st.composite
def gradients(draw: st.DrawFn, max_steps: int = 5, before: int = 0) -> Tensor:
    """Draw non-zero float64 gradients of shape (before + steps, SIZE)."""
    steps = before + draw(st.integers(1, max_steps))
    flat = draw(st.lists(elements, min_size=steps * SIZE, max_size=steps * SIZE))
    return torch.tensor(flat, dtype=torch.float64).reshape(steps, SIZE)


def bounds(hyper: type[Hyper], name: str) -> Range:
    annotation = get_type_hints(hyper, include_extras=True)[name]
    return next(extra for extra in get_args(annotation) if isinstance(extra, Range))


@st.composite
def hypers(draw: st.DrawFn, hyper: type[Hyper]) -> Hyper:
    """Draw allowed hyperparameters, finite and of moderate size."""
    values = {}
    for name in hyper.float_names():
        allowed = bounds(hyper, name)
        values[name] = draw(
            st.floats(
                max(allowed.low, -100.0) or 1e-6,
                min(allowed.high, 100.0),
                exclude_max=allowed.open_high,
                allow_nan=False,
            )
        )
    return hyper(**values)


def walk(rule: Rule, hyper: Hyper, param: Tensor, grads: Tensor) -> Tensor:
    state = rule.init_state(param, hyper)
    for grad in grads:
        param, state = rule.update(grad, param, state, hyper)
    return param


@every_rule
@given(data=st.data())
def test_allowed_hyperparameters_give_finite_steps(rule: Rule, data: st.DataObject) -> None:
    hyper = data.draw(hypers(rule.hyper))
    assert walk(rule, hyper, ORIGIN, data.draw(gradients())).isfinite().all()


@every_rule
@given(data=st.data())
def test_a_mirrored_problem_has_the_mirrored_path(rule: Rule, data: st.DataObject) -> None:
    hyper, grads = data.draw(hypers(rule.hyper)), data.draw(gradients())
    here, there = walk(rule, hyper, ORIGIN + 1, grads), walk(rule, hyper, ORIGIN - 1, -grads)
    assert torch.equal(here, -there)


@every_rule
@given(data=st.data())
def test_the_order_of_coordinates_does_not_matter(rule: Rule, data: st.DataObject) -> None:
    hyper, grads = data.draw(hypers(rule.hyper)), data.draw(gradients())
    order = torch.tensor(data.draw(st.permutations(range(SIZE))))
    start = torch.linspace(-1, 1, SIZE, dtype=torch.float64)
    permuted = walk(rule, hyper, start[order], grads[:, order])
    # Elementwise rules give the same bits; others may sum in another order.
    tolerance = 0.0 if rule.elementwise else 1e-12
    torch.testing.assert_close(
        permuted, walk(rule, hyper, start, grads)[order], rtol=tolerance, atol=tolerance
    )


def plain_steps(make: OptimizerClass) -> int:
    """Return how many first steps of a rule are not divided by a root; said on its class."""
    return make.plain_steps


def normalized_walk(make: OptimizerClass, grads: Tensor) -> Tensor:
    """Return where steps lead from the origin, from the first that is divided by a root. No eps."""
    rule, first = make.rule, plain_steps(make)
    hyper = rule.hyper(lr=0.1).with_values(eps=0.0)
    param, state = ORIGIN, rule.init_state(ORIGIN, hyper)
    for step, grad in enumerate(grads):
        start = ORIGIN if step == first else param
        param, state = rule.update(grad, start, state, hyper)
    return param


def is_normalized(make: OptimizerClass) -> bool:
    """Return whether steps are divided by a root of the gradients, which eps keeps from zero.

    Where eps is also the size of the first step (Adadelta), nothing moves without it.
    """
    with_eps = "eps" in {f.name for f in fields(make.rule.hyper)}
    return with_eps and bool(normalized_walk(make, torch.ones(plain_steps(make) + 1, SIZE)).any())


NORMALIZED = [p for p in CLASSES if is_normalized(p.values[0])]


@pytest.mark.parametrize("make", NORMALIZED)
@given(data=st.data(), exponent=st.integers(-20, 20))
def test_the_scale_of_the_loss_does_not_matter(
    make: OptimizerClass, data: st.DataObject, exponent: int
) -> None:
    # Row OPT-23, for every rule that divides by a root. Without eps; and by powers of two, whose
    # products and roots are exact, so the paths agree to the last bit.
    grads = data.draw(gradients(before=plain_steps(make)))
    scaled = normalized_walk(make, grads * 4.0**exponent)
    assert torch.equal(scaled, normalized_walk(make, grads))


@pytest.mark.parametrize("make", [p for p in NORMALIZED if p.values[0].rule.elementwise])
@given(data=st.data(), scales=st.lists(sizes, min_size=SIZE, max_size=SIZE))
def test_the_scale_of_each_coordinate_does_not_matter(
    make: OptimizerClass, data: st.DataObject, scales: list[float]
) -> None:
    # Row OPT-23, without eps. Rules that look at a whole tensor weigh its coordinates.
    grads = data.draw(gradients(before=plain_steps(make)))
    scaled = normalized_walk(make, grads * torch.tensor(scales, dtype=torch.float64))
    # A sum of mean terms may cancel, so the tolerance is absolute: steps are of order lr.
    torch.testing.assert_close(scaled, normalized_walk(make, grads), rtol=0, atol=1e-12)


@every_class
@given(data=st.data())
def test_splitting_a_group_changes_nothing(make: OptimizerClass, data: st.DataObject) -> None:
    grads = data.draw(gradients())
    cut = data.draw(st.integers(1, SIZE - 1))
    one = [nn.Parameter(torch.zeros(1).double()) for _ in range(SIZE)]
    two = [nn.Parameter(torch.zeros(1).double()) for _ in range(SIZE)]
    optimizers_ = make(one), make([{"params": two[:cut]}, {"params": two[cut:]}])
    for grad in grads:
        for params in (one, two):
            for param, element in zip(params, grad, strict=True):
                param.grad = element.reshape(1).clone()
        for optimizer in optimizers_:
            optimizer.step()
    assert all(map(torch.equal, one, two))


def refused(make: OptimizerClass, **options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        make([nn.Parameter(torch.zeros(1))], **options)
    return str(caught.value)


@every_class
@given(data=st.data())
def test_numbers_out_of_range_are_refused_by_name(
    make: OptimizerClass, data: st.DataObject
) -> None:
    hyper = make.rule.hyper
    name = data.draw(st.sampled_from(hyper.float_names()))
    allowed = bounds(hyper, name)
    value = data.draw(st.floats().filter(lambda x: not math.isfinite(x) or x not in allowed))
    packed = {field: option for option, names in hyper.PACKED.items() for field in names}
    with pytest.raises(ConfigError, match=f"{name} must be .*optimizer.{name}"):
        hyper(**{name: value})
    # A learning rate within rounding of zero counts as zero: torch's LinearLR ends at -5e-18.
    if name not in packed and not -1e-12 < value < 0:
        assert f"{name} must be" in refused(make, **{name: value})
