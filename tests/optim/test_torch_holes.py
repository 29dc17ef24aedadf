"""What torch's optimizers accept, ignore or get wrong, and what happens here instead.

Tests of torch itself hold on to the behaviour that is departed from: one that fails says that torch
has changed.
"""

import inspect
from typing import Any

import pytest
import torch
from torch import nn

from optlab.config import ConfigError
from optlab.optim import Adagrad, Adam, RMSprop, RuleOptimizer
from optlab.optim.checkpoint import IMPLEMENTATION
from tests.optim.lockstep import OptimizerClass, every_class
from tests.optim.paths import random_gradients


def params(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float32) -> list[nn.Parameter]:
    return [nn.Parameter(torch.ones(shape, dtype=dtype)) for shape in shapes]


# Groups.


def test_torch_takes_any_group() -> None:
    group = {"params": params((2,)), "lr": -1.0, "weight_decy": 0.1}
    assert torch.optim.Adam([group]).param_groups[0]["lr"] == -1.0


def construct(optimizer: RuleOptimizer, values: dict[str, Any]) -> None:
    type(optimizer)([{"params": params((2,)), **values}])


def add(optimizer: RuleOptimizer, values: dict[str, Any]) -> None:
    optimizer.add_param_group({"params": params((2,)), **values})


def load(optimizer: RuleOptimizer, values: dict[str, Any]) -> None:
    state = optimizer.state_dict()
    state["param_groups"][0].update(values)
    optimizer.load_state_dict(state)


def step(optimizer: RuleOptimizer, values: dict[str, Any]) -> None:
    optimizer.param_groups[0].update(values)
    optimizer.step()


@every_class
@pytest.mark.parametrize("bring_in", [construct, add, load, step])
def test_every_option_of_a_group_is_checked_whenever_it_comes_in(
    make: OptimizerClass, bring_in: Any
) -> None:
    known = {name for name in inspect.signature(make).parameters if name != "params"}
    # How the update is carried out is not read from a file.
    for name in known - (IMPLEMENTATION if bring_in is load else set()):
        (param,) = params((2,))
        param.grad = torch.ones(2)
        optimizer = make([param])
        with pytest.raises(ConfigError, match=name):
            bring_in(optimizer, {name: "nonsense"})
        assert param.tolist() == [1.0, 1.0]
        assert len(optimizer.param_groups) == 1


@every_class
@pytest.mark.parametrize("bring_in", [construct, add, load])
def test_a_misspelt_option_of_a_group_is_refused(make: OptimizerClass, bring_in: Any) -> None:
    message = r"unknown option .*'weight_decy'.*nearest first: weight_decay"
    with pytest.raises(ConfigError, match=message):
        bring_in(make(params((2,))), {"weight_decy": 0.1})


def test_a_group_has_its_own_first_sum_of_squares() -> None:
    def sums(make: Any, *late: torch.Tensor) -> list[float]:
        first, second = params((1,), (1,))
        optimizer = make(
            [{"params": [first]}, {"params": [second], "initial_accumulator_value": 5.0}]
        )
        for param in late:
            optimizer.add_param_group({"params": [param], "initial_accumulator_value": 7.0})
        for param in (first, second, *late):
            param.grad = torch.ones(1)
        optimizer.step()
        return [optimizer.state[param]["sum"].item() for param in (first, second, *late)]

    assert sums(Adagrad, *params((1,))) == [1.0, 6.0, 8.0]
    assert sums(torch.optim.Adagrad) == [1.0, 1.0]  # up to 2.11 it stops at a late group


# Precision.


def test_torchs_adam_makes_nan_of_a_zero_gradient_in_half_precision() -> None:
    (param,) = params((3,), dtype=torch.float16)
    param.grad = torch.zeros_like(param)
    torch.optim.Adam([param]).step()
    assert param.isnan().all()


@every_class
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(3,), (3, 4), ()], ids=str)
def test_low_precision_stays_finite_on_zero_and_on_tiny_gradients(
    make: OptimizerClass, dtype: torch.dtype, shape: tuple[int, ...]
) -> None:
    # 6e-8 is the smallest number of float16; its square is 0 there, and so is an eps of 1e-8.
    for size in (0.0, 6e-8):
        (param,) = params(shape, dtype=dtype)
        optimizer = make([param])
        for _ in range(50):
            param.grad = torch.full(shape, size, dtype=dtype)
            optimizer.step()
            assert param.isfinite().all()


@every_class
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_state_of_low_precision_parameters_stays_wide_also_after_loading(
    make: OptimizerClass, dtype: torch.dtype
) -> None:
    (param,) = params((3, 2), dtype=dtype)
    optimizer = make([param])
    for _ in range(3):
        param.grad = torch.ones(3, 2, dtype=dtype)
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
        others = {n: t for n, t in optimizer.state[param].items() if n not in make.rule.scalars}
        assert {t.dtype for t in others.values()} <= {torch.float32}


def test_torch_narrows_the_state_of_low_precision_parameters_when_it_loads() -> None:
    (param,) = params((3,), dtype=torch.bfloat16)
    param.grad = torch.ones(3, dtype=torch.bfloat16)
    ours, theirs = Adam([param]), torch.optim.Adam([param])
    ours.step()
    theirs.load_state_dict(ours.state_dict())
    assert ours.state[param]["exp_avg"].dtype == torch.float32
    assert theirs.state[param]["exp_avg"].dtype == torch.bfloat16


def test_centered_rmsprop_does_not_explode_on_a_constant_gradient() -> None:
    def distance(make: Any) -> float:
        (param,) = params((1,))
        optimizer = make([param], lr=1e-3, centered=True)
        for _ in range(3000):
            param.grad = torch.ones(1)
            optimizer.step()
        return 1 - param.item()

    # 20.1 lr at most in a step; torch's steps grow until rounding errors stop them.
    assert 3 < distance(RMSprop) < 3000 * 0.0201
    assert distance(torch.optim.RMSprop) > 1000


# Names.


def named(*names: str) -> list[tuple[str, nn.Parameter]]:
    """Return named parameters of one shape whose values are told apart by their names."""
    return [(name, nn.Parameter(torch.full((2,), float(ord(name[-1]))))) for name in names]


def trained(make: Any, pairs: list[tuple[str, nn.Parameter]]) -> Any:
    """Return an optimizer after two steps on gradients that depend on the name."""
    optimizer = make(pairs)
    for step in range(2):
        for name, param in pairs:
            param.grad = torch.full((2,), ord(name[-1]) / (100.0 + step))
        optimizer.step()
    return optimizer


def moments(optimizer: Any, pairs: list[tuple[str, nn.Parameter]]) -> dict[str, list[float]]:
    return {name: optimizer.state[param]["exp_avg"].tolist() for name, param in pairs}


def test_states_are_matched_by_name_where_torch_swaps_them() -> None:
    saved, here = named("a", "b", "c"), named("c", "a", "b")
    for make, right in ((Adam, True), (torch.optim.Adam, False)):
        optimizer = trained(make, saved)
        loaded = make(here)
        loaded.load_state_dict(optimizer.state_dict())
        assert (moments(loaded, here) == moments(optimizer, saved)) == right
    assert trained(Adam, here).param_groups[0]["param_names"] == ["c", "a", "b"]


@every_class
def test_a_resumed_run_goes_on_by_name(make: OptimizerClass) -> None:
    grads = dict(zip("abc", random_gradients(6, (3, 2, 2)).transpose(0, 1).float(), strict=True))

    def run(pairs: list[tuple[str, nn.Parameter]], optimizer: Any, steps: range) -> None:
        for step in steps:
            for name, param in pairs:
                param.grad = grads[name][step].clone()
            optimizer.step()

    whole, other = ([(n, nn.Parameter(torch.eye(2))) for n in order] for order in ("abc", "cab"))
    first = make(whole)
    run(whole, first, range(3))
    for name, param in other:
        param.data.copy_(dict(whole)[name])
    second = make(other)
    second.load_state_dict(first.state_dict())
    run(whole, first, range(3, 6))
    run(other, second, range(3, 6))
    assert second.param_groups[0]["param_names"] == list("cab")
    assert all(torch.equal(param, dict(other)[name]) for name, param in whole)


def test_other_names_are_refused_and_nothing_changes() -> None:
    saved, here = named("module.a", "module.b"), named("a", "b")
    optimizer = Adam(here, lr=0.5)
    with pytest.raises(
        ConfigError,
        match=r"names its parameters 'module\.a', 'module\.b', where this optimizer has 'a', 'b'; "
        r"rename them in 'param_names'",
    ):
        optimizer.load_state_dict(trained(Adam, saved).state_dict())
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert not optimizer.state


def test_a_message_about_many_names_is_short() -> None:
    saved, here = named("a", "b", "c", "d", "e"), named("a", "v", "w", "x", "y")
    with pytest.raises(ConfigError, match=r"'b', 'c', 'd' and 1 more, where .* has 'v', 'w', 'x' "):
        Adam(here).load_state_dict(trained(Adam, saved).state_dict())


def test_a_name_that_moved_to_another_group_is_refused() -> None:
    saved, here = named("a", "b"), named("a", "b")
    first = Adam([{"params": saved[:1]}, {"params": saved[1:]}])
    second = Adam([{"params": here[1:]}, {"params": here[:1]}])
    with pytest.raises(ConfigError, match=r"names its parameters 'a', where .* has 'b'"):
        second.load_state_dict(first.state_dict())


def test_without_names_on_one_side_or_with_a_name_twice_the_order_counts() -> None:
    pairs, twice = named("a", "b"), named("a", "a")
    plain = [param for _, param in named("b", "a")]
    optimizer = trained(Adam, pairs)
    for target in (plain, twice):
        loaded = Adam(target)
        loaded.load_state_dict(optimizer.state_dict())
        own = [loaded.state[p]["exp_avg"].tolist() for p in loaded.param_groups[0]["params"]]
        assert own == list(moments(optimizer, pairs).values())


def test_a_wrong_shape_is_reported_by_name() -> None:
    saved = named("a", "b")
    here = [("b", nn.Parameter(torch.ones(3))), ("a", nn.Parameter(torch.ones(2)))]
    with pytest.raises(ConfigError, match=r"of parameter 'b' has shape \(2,\), .* needs \(3,\)"):
        Adam(here).load_state_dict(trained(Adam, saved).state_dict())
