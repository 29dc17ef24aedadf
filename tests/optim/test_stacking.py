"""Many small tensors of one shape, under rules of whole tensors: together as alone."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optlab.optim import LAMB, Adafactor, RuleOptimizer, execution, stacking
from optlab.registry import optimizers
from tests.optim.networks import random

WHOLE = {make: name for name, make in optimizers.items() if not make.rule.elementwise}
every_class = pytest.mark.parametrize(
    "make", [pytest.param(make, id=name) for make, name in WHOLE.items()]
)


def params_of(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float64) -> list[nn.Parameter]:
    return [nn.Parameter(random(*shape, seed=i).to(dtype)) for i, shape in enumerate(shapes)]


def set_gradients(params: list[nn.Parameter], step: int) -> None:
    for index, param in enumerate(params):
        param.grad = random(*param.shape, seed=1000 * step + index).to(param.dtype)


@pytest.fixture
def updates(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count tensors that are updated alone, and stacks."""
    counts = {"alone": 0, "stacks": 0}

    def alone(*arguments: Any) -> None:
        counts["alone"] += 1
        execution_step(*arguments)

    def stack(*arguments: Any) -> None:
        counts["stacks"] += 1
        stacked_step(*arguments)

    execution_step, stacked_step = execution.eager_step, execution.stacked_step
    monkeypatch.setattr(execution, "eager_step", alone)
    monkeypatch.setattr(execution, "stacked_step", stack)
    return counts


SHAPES = [(5, 5)] * 8 + [(7,)] * 7 + [(4, 4)] * 3 + [()] * 6 + [(0,)] * 6


@every_class
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_a_stack_makes_the_steps_of_its_members(
    make: type[RuleOptimizer], dtype: torch.dtype
) -> None:
    together, alone = params_of(*SHAPES, dtype=dtype), params_of(*SHAPES, dtype=dtype)
    ours, reference = make(together, lr=0.01), make(alone, lr=0.01, fast=False)
    for step in range(6):
        for side, optimizer in ((together, ours), (alone, reference)):
            set_gradients(side, step)
            optimizer.step()
    # Sums may be taken in another order, which a basis or an iteration magnifies; bfloat16 rounds
    # results that differ in their last float32 bits to neighbours.
    eps = torch.finfo(dtype).eps
    tolerance = 4 * eps if dtype == torch.bfloat16 else 1e5 * eps
    torch.testing.assert_close(together, alone, rtol=tolerance, atol=tolerance)
    for a, b in zip(together, alone, strict=True):
        for name, value in reference.state[b].items():
            mine = ours.state[a][name]
            assert (mine.dtype, mine.shape) == (value.dtype, value.shape)
            if name == "step":
                assert mine.item() == value.item() == 6.0


def test_many_tensors_are_stacked_and_few_or_large_ones_are_not(updates: dict[str, int]) -> None:
    params = params_of(*[(5, 5)] * 8, *[(3,)] * 5, *[(300, 300)] * 6, *[(0,)] * 9)
    set_gradients(params, 0)
    LAMB(params).step()
    assert updates == {"alone": 5 + 6 + 9, "stacks": 1}


def test_a_stack_is_divided_where_it_would_take_much_memory(
    updates: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacking, "MOST", 100)
    params = params_of(*[(5, 5)] * 9)
    set_gradients(params, 0)
    LAMB(params).step()
    assert updates == {"alone": 0, "stacks": 3}


@pytest.mark.parametrize("options", [{"fast": False}, {"capturable": True}])
def test_plain_eager_updates_may_be_asked_for(
    updates: dict[str, int], options: dict[str, Any]
) -> None:
    params = params_of(*[(5, 5)] * 8)
    set_gradients(params, 0)
    LAMB(params, **options).step()
    assert updates == {"alone": 8, "stacks": 0}


def test_late_members_have_stacks_of_their_own(updates: dict[str, int]) -> None:
    params, twins = params_of(*[(4, 4)] * 14), params_of(*[(4, 4)] * 14)
    ours, reference = LAMB(params), LAMB(twins, fast=False)
    for step in range(4):
        for side, optimizer in ((params, ours), (twins, reference)):
            set_gradients(side, step)
            for late in side[7:] if step < 2 else ():
                late.grad = None
            optimizer.step()
    torch.testing.assert_close(params, twins, rtol=1e-12, atol=1e-12)
    assert updates["stacks"] == 1 + 1 + 2 + 2


def test_what_vmap_does_not_know_is_updated_alone(updates: dict[str, int]) -> None:
    def update(grad: Tensor, param: Tensor, state: Any, hyper: Any) -> Any:
        return param - hyper.lr * grad * len(grad.unique()), {}

    rule = dataclasses.replace(
        LAMB.rule, init_state=lambda param, hyper: {}, update=update, scalars=()
    )
    make = type("Mine", (RuleOptimizer,), {"rule": rule})
    params = params_of(*[(2, 2)] * 8)
    before = [param.detach().clone() for param in params]
    optimizer = make(params, lr=0.5)
    for step in range(2):
        set_gradients(params, step)
        optimizer.step()
        for param, old in zip(params, before, strict=True):
            old -= 0.5 * 4 * param.grad  # type: ignore[operator]
    assert all(map(torch.equal, params, before))
    assert updates == {"alone": 16, "stacks": 1}


def test_entries_of_users_stay_in_a_stack() -> None:
    params = params_of(*[(4, 4)] * 8)
    optimizer = Adafactor(params)
    for step in range(2):
        set_gradients(params, step)
        optimizer.step()
        optimizer.state[params[0]].update(note="mine", mine=torch.full((4, 4), 7.0))
    assert optimizer.state[params[0]]["mine"].unique().item() == 7.0
