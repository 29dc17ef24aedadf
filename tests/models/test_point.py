"""The model of a test function: one point."""

import pytest
import torch
from torch.func import functional_call, grad, vmap

from optlab.config import ConfigError
from optlab.init import initialize, standard_normal_
from optlab.models import ModelContext, Point
from optlab.models.point import build_point
from optlab.nn import ReLU
from optlab.nn.losses import Objective

CONTEXT = ModelContext((1,), 2, ReLU)


def bowl(points):
    return points.square().sum(-1) / 2


def test_answers_every_row_with_the_point():
    assert Point((3.0, -1.0))(torch.zeros(2, 5)).tolist() == [[3.0, -1.0], [3.0, -1.0]]


def test_initializers_leave_the_start():
    module = build_point(CONTEXT, start=(3.0, -1.0))
    initialize(module, standard_normal_, seed=0)
    assert module.point.tolist() == [3.0, -1.0]


def test_gradient_is_that_of_the_function_whatever_the_batch():
    module, loss = Point((3.0, -1.0)), Objective(bowl)
    for rows in (1, 4):
        value = loss(module(torch.zeros(rows, 1)), torch.zeros(rows, 2))
        (slope,) = torch.autograd.grad(value, module.point)
        torch.testing.assert_close(slope, torch.tensor([3.0, -1.0]))


def test_stack_descends_as_each_point_alone():
    module, loss = Point((0.0, 0.0)), Objective(bowl)
    starts, noise = torch.tensor([[3.0, -1.0], [1.0, 2.0]]), torch.ones(2, 4, 2)

    def cost(point, target):
        output = functional_call(module, {"point": point}, (torch.zeros(4, 1),))
        return loss(output, target)

    torch.testing.assert_close(vmap(grad(cost))(starts, noise), starts + 1)


def test_start_of_another_dimension_is_refused():
    with pytest.raises(ConfigError, match=r"model.start needs 2 numbers, .* got 3: \[0.0, 1.0"):
        build_point(CONTEXT, start=(0.0, 1.0, 2.0))


def test_float64_starts_at_the_number_asked_for():
    """0.1 as float32 is 0.10000000149; alone, a point has torch's default type."""
    built = build_point(CONTEXT, start=(0.1, -0.7))
    assert built.to(torch.float64).point.tolist() == [0.1, -0.7]
    rounded = build_point(CONTEXT, start=(0.1, -0.7)).to(torch.float32).point
    assert torch.equal(rounded, torch.tensor([0.1, -0.7]))
    assert Point((0.1, -0.7)).point.dtype == torch.get_default_dtype()
