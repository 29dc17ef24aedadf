"""Types and their corners: what wraps around, what is a truth value, what NaN does."""

import math

import pytest
import torch

from optlab.compiler import NoCompiler
from optlab.train.native.function import kernels
from tests.train.native.calling import check, normal

try:
    kernels()
except NoCompiler as reason:
    pytest.skip(f"needs a C compiler: {reason}", allow_module_level=True)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
def test_whole_numbers_wrap_around_inside_a_loop(dtype):
    limits = torch.iinfo(dtype)
    x = torch.tensor([limits.max, limits.max // 2 + 1, limits.min, 3], dtype=dtype)

    def function(x):
        wrapped = [(x + x).double(), (x * x) > 2, (x + 1) > x, (x - 5).to(torch.int64)]
        return [*wrapped, torch.add(x, x, alpha=3)]

    check(function, x)


def test_bits_of_a_byte_are_turned_within_it():
    check(lambda x: [(~x).long(), (-x).long()], torch.tensor([0, 200, 255], dtype=torch.uint8))


def test_any_number_but_zero_is_true():
    x = torch.tensor([0.3, 0.0, -0.0, math.nan, 1e-40])

    def function(x):
        flags = (x != 0) + (x != 0)
        return [x.bool(), flags, flags.long(), x.any(), (x[:1] * 0.1).all(), flags.sum()]

    check(function, x)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int32, torch.int64, torch.bool])
def test_extremes_of_whole_numbers(dtype):
    x = torch.tensor([[0, 4, 5, 0], [9, 1, 0, 0]]).to(dtype)
    check(lambda x: [x.amax(0), x.amin(0), x.amax(1), x.amin(), x.float().argmax(1)], x)


def test_logarithms_at_the_end_of_their_range():
    x = torch.tensor([-1.0, -2.0, -0.5, -1 + 6e-8, 1e-8, 3e38, math.inf])
    check(lambda x: [x.log1p()], x, rtol=1e-6, atol=0)


def test_remainders_and_quotients_are_exact():
    x = torch.tensor([1e6, 1.0, -1.0, 0.3, -0.3, 0.0])

    def function(x):
        rest = [torch.remainder(x, by) for by in (0.1, -0.1, math.inf)]
        return [*rest, *(torch.div(x, 0.1, rounding_mode=mode) for mode in ("floor", "trunc"))]

    check(function, x, rtol=0, atol=0)


def test_a_way_between_ends_meets_both():
    a, b = normal(5) * 1e20, normal(5, seed=1)
    weight = torch.tensor(0.9)
    check(lambda a, b: [torch.lerp(a, b, 1.0), torch.lerp(a, b, 0.0), a.lerp(b, weight)], a, b)


def test_bounds_that_are_nan_or_no_number_of_the_type():
    x = torch.tensor([1.0, 5.0])
    check(lambda x: [x.clamp(torch.full_like(x, math.nan)), x.clamp(max=2)], x)


@pytest.mark.skipif(torch.__version__ < "2.12", reason="PyTorch 2.11 refuses such a bound")
def test_a_bound_that_the_type_does_not_reach():
    check(lambda x: [(x * 1).clamp(max=200)], torch.tensor([90, -3], dtype=torch.int8))


def test_a_range_has_the_digits_of_its_type():
    x = normal(10, dtype=torch.float64)
    check(lambda x: [x * torch.arange(0, 1, 0.1, dtype=torch.float64)], x, rtol=1e-15, atol=0)


def test_numbers_where_a_mask_says():
    def function(x):
        return [x.masked_fill(x > 0, 3.0), x.clone().masked_fill_(x > 0, -math.inf)]

    check(function, normal(6))


def test_a_long_chain_and_one_that_meets_itself():
    def function(x):
        y = z = x
        for _ in range(1500):
            y = 0.5 - y
        for _ in range(50):
            z = z * z * 0.5 + z
        return [y, z, z.sum()]

    check(function, normal(5) * 0.1)
