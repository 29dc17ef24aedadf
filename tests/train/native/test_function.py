"""Compiled functions give what PyTorch gives, for every operation that they know and for others."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optlab.compiler import NoCompiler, NotCompiled
from optlab.train.native.function import Bound, compiled, kernels, room_of
from optlab.train.native.values import Call

try:
    kernels()
except NoCompiler as reason:
    pytest.skip(f"needs a C compiler: {reason}", allow_module_level=True)

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.3, 1e-30, -1e-30, 1e-40, 3.0, -7.5, 20.0, -20.0, 87.0]
SPECIAL += [89.5, -87.5, -103.5, -120.0, 1e6, -1e6, 3e38, math.inf, -math.inf, math.nan, 1e-6]


def run(function, *inputs):
    """Compile ``function``, call it, and return the results and the compiled function."""
    wanted = function(*inputs)
    results = [len(inputs) + i for i in range(len(wanted))]
    made = compiled(function, inputs, list(range(len(inputs))), results)
    outputs = [torch.full_like(w, 1).contiguous() for w in wanted]
    Bound(made, [*(i.contiguous() for i in inputs), *outputs], room_of(made.room))()
    return outputs, made


def check(function, *inputs, rtol=2e-6, atol=1e-6, calls=0):
    outputs, made = run(function, *inputs)
    for output, wanted in zip(outputs, function(*inputs), strict=True):
        torch.testing.assert_close(output, wanted, rtol=rtol, atol=atol, equal_nan=True)
    assert sum(isinstance(step, Call) for step in made.steps) == calls


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


ONE = {
    "neg": torch.neg,
    "abs": torch.abs,
    "sign": torch.sign,
    "relu": torch.relu,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "floor": torch.floor,
    "square": torch.square,
    "reciprocal": torch.reciprocal,
    "cube": lambda x: x**3,
    "clamp": lambda x: x.clamp(-0.4, 2.0),
    "clamp_min": lambda x: x.clamp(min=0.1),
    "isnan": torch.isnan,
    "isfinite": torch.isfinite,
    "compare": lambda x: (x > 0.2).to(x.dtype) + (x == 1.0).to(x.dtype),
    "where": lambda x: torch.where(x > 0, x * 2, x - 1),
    "rsub": lambda x: 1.5 - x,
    "alpha": lambda x: torch.add(x, x * 2, alpha=0.25),
    "sin": torch.sin,
    "remainder": lambda x: torch.remainder(x.clamp(-50, 50), 3.0),
}
POSITIVE = {
    "log": torch.log,
    "log1p": torch.log1p,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "power": lambda x: x**1.7,
    "root": lambda x: x**0.5,
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", [*ONE, *POSITIVE])
def test_elementwise_operations(name, dtype):
    special = torch.tensor(SPECIAL, dtype=dtype)
    x = torch.cat([normal(203, dtype=dtype) * 3, special])
    if name in POSITIVE:
        x = torch.cat([x.abs(), torch.tensor([0.0, math.inf, math.nan], dtype=dtype)])
    function = ONE.get(name) or POSITIVE[name]
    if name == "sin":
        x = x[:203]
    # A result below the smallest normal number may be rounded to fewer digits.
    check(lambda x: [function(x)], x, rtol=1e-6 if dtype == torch.float32 else 1e-14, atol=1e-37)


TWO = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "and": lambda a, b: (a > 0) & (b > 0),
    "or": lambda a, b: torch.logical_or(a > 0, b > 0),
    "not": lambda a, b: ~(a > b),
    "lerp": lambda a, b: torch.lerp(a, b, 0.3),
    "addcmul": lambda a, b: torch.addcmul(a, b, a, value=0.5),
    "power": lambda a, b: a.abs() ** b,
    "copysign": torch.copysign,
}


@pytest.mark.parametrize(
    "shapes", [((7, 5), (7, 5)), ((7, 1, 5), (3, 1)), ((), (4, 6)), ((6,), ())]
)
@pytest.mark.parametrize("name", TWO)
def test_operations_broadcast(name, shapes):
    a, b = (normal(*shape, seed=i) for i, shape in enumerate(shapes))
    check(lambda a, b: [TWO[name](a, b)], a, b)


def test_nan_goes_through_what_compares():
    x = torch.tensor([1.0, math.nan, -2.0])
    check(lambda x: [x.relu(), x.amax(), x.clamp(-1, 1), torch.maximum(x, -x)], x)


def test_whole_numbers_wrap_around_like_pytorch():
    words = torch.randint(2**62, (50,), generator=torch.Generator().manual_seed(1))

    def mix(x):
        x = (x ^ (x >> 16)) * 0x85EBCA6B
        return [(x & 0xFFFFFFFF), x + 2**62, (x << 3) - 5, (x | 1).to(torch.float64)]

    check(mix, words)


def test_numbers_of_double_precision_meet_single_tensors_as_pytorch_lets_them():
    x, beta, step = normal(9), torch.tensor(0.999, dtype=torch.float64), torch.tensor(3.0)

    def function(x, beta, step):
        step = step + 1
        correction = 1 - beta ** step.double()
        return [beta * x + (1 - beta) * x * x, x / correction, step, correction]

    check(function, x, beta, step, rtol=1e-7)


VIEWS = {
    "transpose": lambda x: x.transpose(0, 2) * 2,
    "permute": lambda x: x.permute(2, 0, 1).reshape(-1) + 1,
    "view": lambda x: x.view(6, -1).t() - 1,
    "expand": lambda x: x.unsqueeze(1).expand(-1, 2, -1, -1) * 1.5,
    "slice": lambda x: x[1:, ::2, -3:] * 2,
    "select": lambda x: x[:, 1] + x.select(1, 2),
    "split": lambda x: torch.split(x, 2, dim=2)[1] * 3,
    "unbind": lambda x: x.unbind(0)[1] - x.unbind(0)[0],
    "diagonal": lambda x: x.diagonal(dim1=1, dim2=2) * 2,
    "of a formula": lambda x: (x * 2).transpose(0, 1).reshape(3, -1).t() + 1,
    "constant": lambda x: torch.ones_like(x).sum(0).expand(2, 3, 4) * x,
    "cat": lambda x: torch.cat([x, x * 2, x[:, :1]], 1),
    "stack": lambda x: torch.stack([x, -x], 1),
    "pad": lambda x: torch.nn.functional.pad(x, (1, 2, 0, 3), value=0.5),
    "arange": lambda x: x + torch.arange(4, dtype=x.dtype),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_and_joins(name):
    check(lambda x: [VIEWS[name](x)], normal(2, 3, 4))


REDUCTIONS = {
    "all": lambda x: x.sum(),
    "last": lambda x: x.sum(-1),
    "first": lambda x: x.sum(0),
    "middle": lambda x: x.mean(1, keepdim=True),
    "outer": lambda x: x.sum((0, 2)),
    "inner": lambda x: (x * x).sum((1, 2), keepdim=True),
    "of a view": lambda x: x.transpose(0, 2).sum(1),
    "amax": lambda x: x.amax(-1, keepdim=True),
    "amin": lambda x: x.amin((0, 1)),
    "argmax": lambda x: x.argmax(-1),
    "argmax in the middle": lambda x: x.argmax(1, keepdim=True),
    "norm": lambda x: torch.linalg.vector_norm(x),
    "norms": lambda x: torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True) * x,
    "variance": lambda x: (x - x.mean(1, keepdim=True)).square().mean(1),
    "prod": lambda x: x.prod(2),
    "any": lambda x: (x > 1).any(),
    "all of": lambda x: (x > -9).all(1),
    "count": lambda x: (x > 0).sum(),
    "share": lambda x: (x > 0).to(x.dtype).mean(),
    "softmax": lambda x: torch.softmax(x, -1),
    "log_softmax": lambda x: torch.log_softmax(x, 1),
}


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 1, 33), (1, 7, 1), (64, 3, 17)])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(name, shape):
    check(lambda x: [REDUCTIONS[name](x)], normal(*shape))


@pytest.mark.parametrize("shape", [(300_000,), (300_000, 3)])
def test_a_long_sum_keeps_its_digits(shape):
    x = torch.full(shape, 0.1)
    (total, mean), _ = run(lambda x: [x.sum(0), x.mean(0)], x)
    torch.testing.assert_close(total.double(), x.double().sum(0), rtol=1e-6, atol=0)
    torch.testing.assert_close(mean.double(), x.double().mean(0), rtol=1e-6, atol=0)


def test_the_first_of_equal_numbers_and_nan_are_the_largest():
    x = torch.tensor([[1.0, 3.0, 3.0], [math.nan, 9.0, 1.0], [-math.inf, -math.inf, -math.inf]])
    check(lambda x: [x.argmax(1)], x)


def test_lookups_and_sums_into_places():
    x, index = normal(5, 7), torch.randint(7, (5, 3), generator=torch.Generator().manual_seed(2))
    rows = torch.tensor([4, 0, 0, 3])

    def function(x, index, rows):
        spread = torch.zeros_like(x).scatter_add(1, index, torch.ones_like(x[:, :3]))
        added = x.index_add(0, rows, x[:4] * 2)
        return [x.gather(1, index), spread, x.index_select(0, rows), added]

    check(function, x, index, rows)


SIZES = [
    (1, 1, 1),
    (6, 16, 3),
    (64, 10, 64),
    (7, 65, 300),
    (33, 128, 17),
    (5, 3, 0),
    (13, 200, 513),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("sizes", SIZES)
def test_products_of_matrices(sizes, turned, dtype):
    m, n, k = sizes
    a = normal(k, m, dtype=dtype) if turned[0] else normal(m, k, dtype=dtype)
    b = normal(n, k, dtype=dtype) if turned[1] else normal(k, n, dtype=dtype)

    def function(a, b):
        return [(a.t() if turned[0] else a) @ (b.t() if turned[1] else b)]

    (made,), _ = run(function, a, b)
    (exact,) = function(a.double(), b.double())
    size = exact.abs().max().item() if k else 0.0
    epsilon = torch.finfo(dtype).eps
    assert (made.double() - exact).abs().max().item() <= 4 * epsilon * math.sqrt(k + 1) * (size + 1)


def test_batches_of_products_and_what_is_added_to_them():
    a, b, c = normal(3, 5, 4), normal(3, 4, 6), normal(6)
    check(lambda a, b, c: [torch.baddbmm(c, a, b), torch.addmm(c, a[0], b[1])], a, b, c)


@settings(max_examples=40, deadline=None)
@given(m=st.integers(1, 40), n=st.integers(1, 80), k=st.integers(1, 40), seed=st.integers(0, 9))
def test_a_row_of_a_product_depends_on_no_other_row(m, n, k, seed):
    a, b = normal(m, k, seed=seed), normal(k, n, seed=seed + 1)
    (whole,), _ = run(lambda a, b: [a @ b], a, b)
    (last,), _ = run(lambda a, b: [a @ b], a[-1:].contiguous(), b)
    assert torch.equal(whole[-1:], last)


def test_an_operation_without_a_form_is_left_to_pytorch():
    x = normal(6, 6)
    check(lambda x: [torch.linalg.qr(x * 2).R + 1, torch.sort(x.sum(0)).values], x, calls=2)


def test_what_is_written_may_be_what_was_read():
    param, state = normal(40), torch.zeros(40)
    before = param.clone()

    def function(param, grad, state, step):
        state = 0.9 * state + grad
        return [param - 0.1 * state / step, state, step + 1]

    grad, step = normal(40, seed=1), torch.tensor(1.0)
    made = compiled(function, [param, grad, state, step], [0, 1, 2, 3], [0, 2, 3])
    call = Bound(made, [param, grad, state, step], room_of(made.room))
    wanted = [before, torch.zeros(40), torch.tensor(1.0)]
    for _ in range(3):
        call()
        wanted = function(wanted[0], grad, wanted[1], wanted[2])
    for made_one, wanted_one in zip((param, state, step), wanted, strict=True):
        torch.testing.assert_close(made_one, wanted_one)


def test_results_that_trade_places_are_both_read_first():
    a, b = normal(5), normal(5, seed=1)
    wanted = b.clone(), a.clone() * 2
    made = compiled(lambda a, b: [b.clone(), a * 2], [a, b], [0, 1], [0, 1])
    Bound(made, [a, b], room_of(made.room))()
    assert torch.equal(a, wanted[0])
    assert torch.equal(b, wanted[1])


def test_turned_results_do_not_overwrite_what_is_still_read():
    x = normal(4, 4)
    wanted = x.t() * 2 + x
    made = compiled(lambda x: [x.t() * 2 + x], [x], [0], [0])
    Bound(made, [x], room_of(made.room))()
    assert torch.equal(x, wanted)


def test_what_a_function_writes_in_place_is_seen_by_views_and_not_by_what_was_read_before():
    def function(a, b):
        x = a.clone()
        doubled, part = x * 2, x[1:]
        part.mul_(3).add_(b[0], alpha=0.5)
        x.t().sub_(b[:4, :4])
        y = torch.empty_like(a)
        y.copy_(x)
        y[0].zero_()
        y[1].fill_(7)
        return [doubled, x, part, y, x.detach() + y.sum()]

    check(function, normal(4, 4), normal(6, 4, seed=1))


def test_tensors_of_the_function_itself_are_kept():
    table = normal(3)
    check(lambda x: [x * table, x + table], normal(3, seed=1))


def test_a_function_that_asks_for_a_value_cannot_be_compiled():
    with pytest.raises(NotCompiled, match="value of a tensor"):
        compiled(lambda x: [x * float(x.sum())], [normal(3)], [0], [1])
