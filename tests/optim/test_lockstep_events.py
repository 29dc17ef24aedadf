"""Every class goes bit by bit with its reference, whatever is done to it in the middle."""

import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optlab.config import ConfigError
from tests.optim.lockstep import (
    Driver,
    OptimizerClass,
    Params,
    every_class,
    every_driver,
    lockstep,
    random_gradients,
    random_like,
    tensors,
    with_pauses,
)
from tests.optim.reference import Reference

SHAPES = [(4, 3), (5,), ()]


def other_numbers(make: OptimizerClass) -> dict[str, Any]:
    """Return options with every number half of its default, or 0.25 where that is 0."""
    hyper = make.rule.hyper()
    for name in hyper.float_names():
        value = getattr(hyper, name) / 2 or 0.25
        try:
            hyper = type(hyper)(**{**vars(hyper), name: value})
        except ConfigError:
            continue
    packed = {name: [getattr(hyper, m) for m in members] for name, members in hyper.PACKED.items()}
    inside = {member for members in hyper.PACKED.values() for member in members}
    plain = {n: getattr(hyper, n) for n in hyper.float_names() if n not in inside}
    assert plain["lr"] != type(hyper)().lr
    return {**plain, **packed}


@every_driver
@every_class
def test_with_two_groups_of_different_options(make: OptimizerClass, driver: Driver) -> None:
    second = {**other_numbers(make), "weight_decay": 0.1, "maximize": True}
    lockstep(make, tensors(*SHAPES, *SHAPES), driver, backward=with_pauses, split=2, second=second)


@every_driver
@every_class
def test_with_other_numbers_from_the_middle(make: OptimizerClass, driver: Driver) -> None:
    def change(optimizer: Any, params: Params) -> None:
        optimizer.param_groups[0].update(other_numbers(make), weight_decay=0.1)

    lockstep(make, tensors(*SHAPES), driver, events={3: change})


@every_driver
@every_class
def test_with_another_learning_rate_in_every_step(make: OptimizerClass, driver: Driver) -> None:
    def change(optimizer: Any, params: Params) -> None:
        optimizer.param_groups[0]["lr"] *= 0.75

    lockstep(make, tensors(*SHAPES), driver, events=dict.fromkeys(range(8), change))


@every_driver
@every_class
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_with_a_tensor_for_the_learning_rate_and_writes_to_it(
    make: OptimizerClass, driver: Driver, dtype: torch.dtype
) -> None:
    def change(optimizer: Any, params: Params) -> None:
        optimizer.param_groups[0]["lr"].mul_(0.75)

    def own(optimizer: Any, params: Params) -> None:
        optimizer.param_groups[0]["lr"] = torch.tensor([0.01], dtype=dtype)

    events = {0: own, 2: change, 5: change}
    lockstep(make, tensors(*SHAPES), driver, events=events)


@every_driver
@every_class
def test_with_a_parameter_that_comes_late(make: OptimizerClass, driver: Driver) -> None:
    def add(optimizer: Any, params: Params) -> None:
        params.append(nn.Parameter(random_like(torch.empty(2, 3), seed=5)))
        optimizer.add_param_group({"params": params[-1:], "lr": 0.5})

    lockstep(make, tensors(*SHAPES), driver, events={2: add, 4: add})


@every_driver
@every_class
def test_with_a_state_that_is_saved_and_loaded(make: OptimizerClass, driver: Driver) -> None:
    def resume(optimizer: Any, params: Params) -> Any:
        if isinstance(optimizer, Reference):
            return None
        file = io.BytesIO()
        torch.save(optimizer.state_dict(), file)
        file.seek(0)
        new = make(params, **driver)
        new.load_state_dict(torch.load(file, weights_only=True))
        return new

    first = [p for d in (torch.float16, torch.float32) for p in tensors(*SHAPES, dtype=d)]
    lockstep(make, first, driver, events={2: resume, 4: resume})


@every_driver
@every_class
def test_with_a_state_that_is_loaded_into_the_same_optimizer(
    make: OptimizerClass, driver: Driver
) -> None:
    def reload(optimizer: Any, params: Params) -> None:
        if not isinstance(optimizer, Reference):
            optimizer.load_state_dict(optimizer.state_dict())

    lockstep(make, tensors(*SHAPES), driver, events={2: reload, 3: reload})


@every_driver
@every_class
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (torch.float32, torch.float64),
        (torch.float64, torch.float32),
        (torch.float32, torch.bfloat16),
        (torch.float16, torch.float32),
    ],
    ids=str,
)
def test_with_a_module_that_changes_its_dtype(
    make: OptimizerClass, driver: Driver, before: torch.dtype, after: torch.dtype
) -> None:
    def convert(optimizer: Any, params: Params) -> None:
        nn.ParameterList(params).to(after)

    lockstep(make, tensors(*SHAPES, dtype=before), driver, events={3: convert})


@every_driver
@every_class
@pytest.mark.parametrize("same_strides", [True, False])
def test_with_parameters_that_get_other_memory(
    make: OptimizerClass, driver: Driver, same_strides: bool
) -> None:
    def move(optimizer: Any, params: Params) -> None:
        for index, param in enumerate(params):
            data = random_like(param.detach(), seed=index)
            turned = data.mT.contiguous().mT if data.ndim > 1 else data
            param.data = data if same_strides else turned

    lockstep(make, tensors(*SHAPES), driver, events={2: move, 3: move, 6: move})


@every_driver
@every_class
def test_with_values_written_into_parameters(make: OptimizerClass, driver: Driver) -> None:
    def write(optimizer: Any, params: Params) -> None:
        with torch.no_grad():
            for param in params:
                param.mul_(0.5)
                param.data.add_(1.0)

    lockstep(make, tensors(*SHAPES), driver, events={2: write, 3: write})


def halved(value: Any) -> Any:
    return value * 0.5


@every_driver
@every_class
@pytest.mark.parametrize("how", ["replaced", "written"])
def test_with_entries_of_the_state_changed_by_a_user(
    make: OptimizerClass, driver: Driver, how: str
) -> None:
    def change(optimizer: Any, params: Params) -> None:
        for param in params[1:]:
            state = optimizer.state[param]
            for name, value in state.items():
                if how == "replaced" or not isinstance(value, Tensor):
                    state[name] = halved(value)
                else:
                    value.mul_(0.5)

    lockstep(make, tensors(*SHAPES), driver, events={3: change, 5: change})


@every_driver
@every_class
def test_with_a_whole_state_replaced_by_its_copy(make: OptimizerClass, driver: Driver) -> None:
    def copy(optimizer: Any, params: Params) -> None:
        for param in params:
            if param in optimizer.state:
                optimizer.state[param] = {n: halved(v) for n, v in optimizer.state[param].items()}

    lockstep(make, tensors(*SHAPES), driver, events={3: copy})


@every_driver
@every_class
@pytest.mark.parametrize("whole", [True, False])
def test_with_a_state_that_is_forgotten(make: OptimizerClass, driver: Driver, whole: bool) -> None:
    def forget(optimizer: Any, params: Params) -> None:
        if whole:
            optimizer.state.clear()
        else:
            optimizer.state.pop(params[1], None)

    lockstep(make, tensors(*SHAPES), driver, backward=with_pauses, events={4: forget})


@every_driver
@every_class
def test_with_a_parameter_taken_out_of_its_group(make: OptimizerClass, driver: Driver) -> None:
    def swap(optimizer: Any, params: Params) -> None:
        params[0] = optimizer.param_groups[0]["params"][0] = nn.Parameter(torch.ones(3, 3))

    lockstep(make, tensors(*SHAPES), driver, events={3: swap})


def shared_weight(step: int, params: Params) -> None:
    """Use the first parameter twice, and backward as often as the step says."""
    weight, bias, scale = params
    for part in range(1 + step % 3):
        x = random_like(torch.empty(6, 4), seed=100 * step + part)
        hidden = torch.tanh(x @ weight)
        y = scale * (hidden @ weight.mT + bias[:4])
        y.square().mean().backward()


@every_driver
@every_class
@pytest.mark.parametrize("set_to_none", [True, False])
def test_with_a_shared_weight_and_gradients_summed_over_several_backwards(
    make: OptimizerClass, driver: Driver, set_to_none: bool
) -> None:
    def zero(optimizer: Any, params: Params) -> None:
        optimizer.zero_grad(set_to_none=set_to_none)

    # No event in step 3: its gradients are added to those of step 2.
    events = dict.fromkeys([0, 1, 2, 4, 5, 6, 7], zero)
    lockstep(make, tensors(*SHAPES), driver, backward=shared_weight, events=events)


@every_driver
@every_class
def test_with_gradients_written_into_the_same_memory(make: OptimizerClass, driver: Driver) -> None:
    def refill(step: int, params: Params) -> None:
        if step == 0:
            random_gradients(step, params)
        for index, param in enumerate(params):
            assert param.grad is not None
            param.grad.copy_(random_like(param.detach(), seed=50 * step + index))

    lockstep(make, tensors(*SHAPES), driver, backward=refill)
