"""Every class goes bit by bit with its reference (`tests.optim.reference`), whatever tensors are.

What happens in the middle of a training is in test_lockstep_events.py.
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.contract.forms import every_form
from tests.optim.lockstep import (
    Driver,
    OptimizerClass,
    Params,
    compare,
    every_class,
    every_driver,
    lockstep,
    random_gradients,
    random_like,
    tensors,
    with_pauses,
)
from tests.optim.reference import Reference

MATRIX, VECTOR, NUMBER = (4, 3), (5,), ()


@every_driver
@every_form
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_with_a_layer_that_is_frozen_for_a_while(
    make: OptimizerClass, form: dict[str, Any], driver: Driver, dtype: torch.dtype
) -> None:
    params = tensors(MATRIX, VECTOR, NUMBER, MATRIX, dtype=dtype)
    lockstep(make, params, driver, backward=with_pauses, **form)


@every_driver
@every_class
def test_with_tensors_of_every_number_of_axes(make: OptimizerClass, driver: Driver) -> None:
    shapes = [(), (1,), (7,), (1, 1), (1, 5), (5, 1), (2, 3, 4), (2, 3, 2, 2), (2, 1, 2, 1, 3)]
    lockstep(make, tensors(*shapes), driver, weight_decay=0.1)


@every_driver
@every_class
def test_with_empty_tensors(make: OptimizerClass, driver: Driver) -> None:
    lockstep(make, tensors(VECTOR, (0,), (0, 3), (3, 0), (2, 0, 2), MATRIX), driver)


@every_driver
@every_class
def test_with_tensors_that_end_anywhere_in_a_vector_register(
    make: OptimizerClass, driver: Driver
) -> None:
    lengths = (15, 16, 17, 63, 64, 65, 129, 1000, 40_000)
    lockstep(make, tensors(*((n,) for n in lengths)), driver, steps=4)


def columns_first(tensor: Tensor) -> Tensor:
    return tensor.mT.contiguous().mT


@every_driver
@every_class
def test_with_strided_parameters(make: OptimizerClass, driver: Driver) -> None:
    matrix, kernels, plain = tensors(MATRIX, (2, 3, 4, 2), (6, 8))
    images = kernels.to(memory_format=torch.channels_last)
    assert not images.is_contiguous()
    lockstep(make, [columns_first(matrix), images, plain], driver, weight_decay=0.1)


@every_driver
@every_class
def test_with_parameters_that_are_parts_of_another_tensor(
    make: OptimizerClass, driver: Driver
) -> None:
    wholes = [tensors((6, 8))[0] for _ in range(3)]
    parts = [[nn.Parameter(w[:, :3]), nn.Parameter(w[1:5:2, 4:])] for w in wholes]
    builds = [make(parts[0], **driver), Reference(make, parts[1]), Reference(make, parts[2], True)]
    sides = list(zip(builds, parts, strict=True))
    for step in range(4):
        for optimizer, params in sides:
            random_gradients(step, params)
            optimizer.step()
        compare(*sides, when=f"step {step}")
    outside = tensors((6, 8))[0]
    assert torch.equal(wholes[0][:1, 3:], outside[:1, 3:])
    assert not torch.equal(wholes[0][:, :3], outside[:, :3])


@every_driver
@every_class
@pytest.mark.parametrize("kind", ["expanded", "transposed", "every second", "other strides"])
def test_with_strided_gradients(make: OptimizerClass, driver: Driver, kind: str) -> None:
    def backward(step: int, params: Params) -> None:
        for index, param in enumerate(params):
            rows, columns = param.shape
            whole = random_like(torch.empty(2 * rows, 2 * columns), seed=10 * step + index)
            param.grad = {
                "expanded": whole[0, 0].expand(rows, columns),
                "transposed": whole.t().contiguous().t()[:rows, :columns],
                "every second": whole[::2, ::2],
                "other strides": columns_first(whole[:rows, :columns]),
            }[kind]

    lockstep(make, tensors(MATRIX, MATRIX), driver, backward=backward)


@every_driver
@every_class
def test_with_every_dtype_in_one_group(make: OptimizerClass, driver: Driver) -> None:
    dtypes = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
    params = [p for dtype in dtypes for p in tensors(MATRIX, VECTOR, NUMBER, dtype=dtype)]
    lockstep(make, params, driver, backward=with_pauses, weight_decay=0.1)


@every_driver
@every_class
@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("maximize", [False, True])
def test_with_decay_and_ascent(
    make: OptimizerClass, driver: Driver, decoupled: bool, maximize: bool
) -> None:
    options: dict[str, Any] = {"weight_decay": 0.1, "maximize": maximize}
    if "weight_decay" not in make.rule.hyper.float_names():
        options["decoupled_weight_decay"] = decoupled
    lockstep(make, tensors(MATRIX, NUMBER), driver, backward=with_pauses, **options)


@every_driver
@every_class
def test_with_gradients_whose_squares_overflow_and_underflow(
    make: OptimizerClass, driver: Driver
) -> None:
    sizes = torch.tensor([1e30, 1e19, 1.0, 1e-15, 1e-19, 1e-22, 1e-30, 0.0])

    def backward(step: int, params: Params) -> None:
        params[0].grad = sizes.roll(step // 2) * (-1) ** step

    lockstep(make, [torch.ones(8)], driver, steps=6, backward=backward)


@every_driver
@every_class
def test_with_gradients_that_are_not_finite(make: OptimizerClass, driver: Driver) -> None:
    bad = torch.tensor([float("nan"), float("inf"), -float("inf"), 1.0])

    def backward(step: int, params: Params) -> None:
        params[0].grad = bad.clone()

    lockstep(make, [torch.ones(4)], driver, steps=3, backward=backward)
