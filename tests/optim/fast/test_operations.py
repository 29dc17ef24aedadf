"""Every operation that a kernel knows gives the bits of PyTorch's own, element by element."""

import operator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from optlab.optim.fast.source import _FORMS
from optlab.optim.fast.trace import record
from tests.optim.fast.formulas import Formula, compiled

SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, float("inf"), float("-inf"), float("nan"), 1e-40, 3e38]
BITWISE: dict[str, Formula] = {
    "add": lambda g, p, x: p + g,
    "add number": lambda g, p, x: p + x,
    "sub": lambda g, p, x: p - g,
    "rsub": lambda g, p, x: x - g,
    "rsub scalar": lambda g, p, x: torch.rsub(g, 2),
    "mul": lambda g, p, x: p * g,
    "mul number": lambda g, p, x: x * p,
    "div": lambda g, p, x: p / g,
    "neg": lambda g, p, x: -g,
    "reciprocal": lambda g, p, x: g.reciprocal(),
    "abs": lambda g, p, x: g.abs(),
    "sign": lambda g, p, x: g.sign(),
    "floor": lambda g, p, x: g.floor(),
    "maximum": lambda g, p, x: torch.maximum(g, p),
    "minimum": lambda g, p, x: torch.minimum(g, p),
    "clamp both": lambda g, p, x: g.clamp(-1.5, 0.75),
    "clamp low": lambda g, p, x: g.clamp(min=0.25),
    "clamp high": lambda g, p, x: g.clamp(max=0.25),
    "clamp number": lambda g, p, x: torch.clamp(p, -x, x),
    "copysign": lambda g, p, x: torch.copysign(g, p),
    "square": lambda g, p, x: g**2,
    "cube": lambda g, p, x: g**3,
    "where": lambda g, p, x: torch.where(g > p, g, p * 2),
    "where ge": lambda g, p, x: torch.where(g >= 0, p, 0.0),
    "where lt": lambda g, p, x: torch.where(g < x, p, g),
    "where le": lambda g, p, x: torch.where(g <= p, p, g),
    "where eq": lambda g, p, x: torch.where(g == p, 1.0, g),
    "where ne": lambda g, p, x: torch.where(g != p, 1.0, g),
    "where and": lambda g, p, x: torch.where((g > 0) & (p > 0), g, p),
    "where or": lambda g, p, x: torch.where((g > 0) | (p > 0), g, p),
    "where not": lambda g, p, x: torch.where(~(g > 0), g, p),
    "logical": lambda g, p, x: torch.where(
        torch.logical_or(torch.logical_and(g > 0, p > 0), torch.logical_not(g < 0)), g, p
    ),
    "zeros": lambda g, p, x: torch.zeros_like(p) + g,
    "ones": lambda g, p, x: torch.ones_like(p) - g,
    "constant": lambda g, p, x: p * torch.tensor(0.1, dtype=p.dtype),
    "chain": lambda g, p, x: p - x * (g * 0.1 + p * 0.9) / (g.abs() + 1e-8),
}
#: Correctly rounded in a kernel, or taken from another mathematical library than PyTorch's.
NEARLY: dict[str, Formula] = {
    "sqrt": lambda g, p, x: g.abs().sqrt(),
    "root as a power": lambda g, p, x: g.abs() ** 0.5,
    "rsqrt": lambda g, p, x: g.abs().rsqrt(),
    "pow": lambda g, p, x: g.abs() ** 1.7,
    "exp": lambda g, p, x: g.clamp(max=50.0).exp(),
    "log": lambda g, p, x: g.abs().log(),
    "tanh": lambda g, p, x: g.tanh(),
    "cos": lambda g, p, x: g.clamp(-9.0, 9.0).cos(),
    "remainder": lambda g, p, x: torch.remainder(g.clamp(-9.0, 9.0), 0.75),
}


def operands(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return all pairs of special values, then random ones."""
    special = torch.tensor(SPECIAL, dtype=dtype)
    noise = torch.randn(2, 300, dtype=dtype, generator=torch.Generator().manual_seed(0))
    left, right = special.repeat_interleave(len(special)), special.repeat(len(special))
    return torch.cat([left, noise[0]]), torch.cat([right, noise[1]])


def same_bits(a: Tensor, b: Tensor) -> bool:
    signs = torch.signbit(a) == torch.signbit(b)
    return bool((((a == b) & signs) | (a.isnan() & b.isnan())).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", BITWISE)
def test_operation_has_the_bits_of_pytorch(name: str, dtype: torch.dtype) -> None:
    grad, param = operands(dtype)
    expected = BITWISE[name](grad, param, 0.3)
    assert same_bits(compiled(BITWISE[name], grad, param, 0.3), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", NEARLY)
def test_operation_is_within_rounding_of_pytorch(name: str, dtype: torch.dtype) -> None:
    grad, param = operands(dtype)
    expected = NEARLY[name](grad, param, 0.3)
    tolerance = 4 * torch.finfo(dtype).eps  # two libraries, each off by up to two units
    torch.testing.assert_close(
        compiled(NEARLY[name], grad, param), expected, rtol=tolerance, atol=1e-37, equal_nan=True
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_square_roots_are_rounded_correctly(dtype: torch.dtype) -> None:
    grad = torch.rand(5000, dtype=dtype, generator=torch.Generator().manual_seed(0))
    root = compiled(NEARLY["sqrt"], grad, torch.zeros_like(grad))
    assert np.array_equal(root.numpy(), np.sqrt(grad.numpy()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_every_number_of_sixteen_bits_goes_through_unchanged(dtype: torch.dtype) -> None:
    param = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype)
    new = compiled(lambda g, p, x: p * 1.0, torch.zeros_like(param), param)
    assert same_bits(new.float(), param.float())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_results_are_rounded_to_sixteen_bits_as_pytorch_does(dtype: torch.dtype) -> None:
    # Sums of two numbers of 16 bits are often halfway between two others.
    generator = torch.Generator().manual_seed(0)
    grad, param = torch.randn(2, 50_000, generator=generator).mul(100).to(dtype)
    expected = (param.float() + grad.float()).to(dtype)
    assert torch.equal(compiled(lambda g, p, x: p + g, grad, param), expected)


@pytest.mark.parametrize(
    "function", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
)
def test_numbers_are_computed_in_python_floats(function: Any) -> None:
    # 0.1 + 0.2 in float32 is another number than in float64.
    x = 0.1
    grad = param = torch.ones(3, dtype=torch.float64)
    new = compiled(lambda g, p, y: p * function(y, 0.2), grad, param, x)
    assert new.tolist() == [function(x, 0.2)] * 3


def test_every_form_is_tried() -> None:
    """A form that no test of this file reaches would be a line without proof."""
    reached = set()
    for formula in (*BITWISE.values(), *NEARLY.values()):
        inputs = [torch.tensor(0.5, dtype=torch.float64), torch.ones(2), torch.ones(2)]
        recorded = record(lambda x, g, p, f=formula: [f(g, p, x)], inputs)
        reached |= {operation.name for operation in recorded.operations}
    copies = {"clone", "alias", "detach", "lift_fresh", "_to_copy", "scalar_tensor"}
    assert set(_FORMS) - reached - copies == {"clamp_min", "clamp_max"}
