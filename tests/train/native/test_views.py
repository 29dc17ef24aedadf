"""Tensors that share memory are seen to change together, others are not."""

import pytest
import torch

from optlab.compiler import NoCompiler
from optlab.train.native.function import kernels
from tests.train.native.calling import called, check, normal

try:
    kernels()
except NoCompiler as reason:
    pytest.skip(f"needs a C compiler: {reason}", allow_module_level=True)


def test_a_part_of_zeros_that_is_written_is_a_part_of_them():
    def function(x):
        zeros, ones = torch.zeros_like(x), torch.ones_like(x)
        first = ones[0]
        zeros[0].fill_(7)
        ones.add_(x)
        return [zeros, first * 1, torch.zeros_like(x)[1]]

    check(function, normal(3, 3))


def test_a_tensor_made_of_numbers_is_new_at_every_call():
    def function(x):
        return [torch.tensor([1.0, 2.0]).add_(x) + 0]

    x = normal(2)
    first, second = called(function, x), called(function, x, recorded=[x * 5])
    assert torch.equal(first[0], function(x)[0])
    assert torch.equal(second[0], first[0])


def test_a_tensor_turned_in_place_keeps_its_numbers():
    def function(x):
        y = x * 2
        y.transpose_(0, 1)
        z = y.t_().unsqueeze_(0) + 1
        return [y + 0, z.squeeze_(0)]

    check(function, normal(3, 5))


def test_what_is_written_over_a_turned_view_of_itself():
    def function(x):
        y, z = x.clone(), x.clone()
        y.t().copy_(y * 2)
        z.copy_(z.t() + 1)
        return [y, z]

    check(function, normal(4, 4))


def test_what_was_computed_before_a_write_keeps_its_numbers_as_long_as_it_is_awaited():
    def function(x):
        y = x.clone()
        doubled, once = y * 2, y - 1
        first = doubled.sum() + once.sum()
        y.add_(1)
        y.copy_(y * y)
        return [doubled + y, first, once * y]

    check(function, normal(5))
