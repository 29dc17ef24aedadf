"""The text of CUDA kernels, run on the CPU, gives the bits of the CPU's kernels and of PyTorch.

What only a device can tell, its own arithmetic and its concurrency, is in tests/gpu.
"""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optlab.check import Case
from optlab.optim import SGD, Adam, NAdam
from optlab.optim.apply import first_state
from optlab.optim.fast.cuda_table import CudaTable
from optlab.optim.fast.kernel import (
    CudaKernel,
    Program,
    c_kernel,
    cuda_kernel,
    numbers_of,
    program_of,
)
from optlab.optim.fast.table import Table
from optlab.optim.groups import GradientOptions
from tests.contract.forms import CASES
from tests.optim.fast import emulation
from tests.optim.fast.formulas import Formula, Number, rule_of
from tests.optim.fast.test_operations import BITWISE, NEARLY, operands, same_bits
from tests.optim.networks import random

pytestmark = pytest.mark.usefixtures("emulated")

FULL = (torch.float32, torch.float64)
DTYPES = (*FULL, torch.float16, torch.bfloat16)
OPTIONS = GradientOptions()
FORMS = [case for case in CASES if case.rule.elementwise]
RULES = list({case.make: case for case in reversed(FORMS)}.values())
#: Odd sizes, none, one, a whole block, and one for which several blocks are needed.
SHAPES = [(5,), (), (0,), (7, 3), (2500,), (1024,)]

State = dict[str, Tensor]
Kept = tuple[list[nn.Parameter], list[State]]


@pytest.fixture(scope="module", autouse=True)
def _compiled_at_once() -> None:
    programs = [program(case, dtype) for case in RULES for dtype in DTYPES]
    programs += [program(case, torch.float32) for case in FORMS]
    formulas = [*BITWISE.values(), *NEARLY.values()]
    kernels = [*map(cuda_kernel, programs), *(kernel_of(f, d) for f in formulas for d in FULL)]
    emulation.prepare([kernel.short[1] for kernel in kernels])


def program(case: Case, dtype: torch.dtype) -> Program:
    param = torch.ones(2, dtype=dtype)
    state = first_state(case.rule, param, case.hyper, OPTIONS)
    return program_of(case.rule, case.hyper, OPTIONS, dtype, state)


def kernel_of(formula: Formula, dtype: torch.dtype) -> CudaKernel:
    return cuda_kernel(program_of(rule_of(formula), Number(), OPTIONS, dtype, {}))


def computed(formula: Formula, grad: Tensor, param: Tensor, number: Any = 0.3) -> Tensor:
    """Return ``formula(grad, param, number)`` as a CUDA kernel computes it."""
    new = param.clone()
    new.grad = grad
    table = CudaTable(kernel_of(formula, param.dtype), [new], [{}])
    assert table.gather() == []
    table.step([number, 0.0])
    return new


def fresh(case: Case, dtype: torch.dtype, shapes: Sequence[tuple[int, ...]] = SHAPES) -> Kept:
    params = [nn.Parameter(random(*s, seed=i).to(dtype)) for i, s in enumerate(shapes)]
    return params, [first_state(case.rule, p, case.hyper, OPTIONS) for p in params]


def on_cpu(case: Case, dtype: torch.dtype, kept: Kept) -> Table:
    return Table(c_kernel(program(case, dtype)), *kept)


def on_cuda(case: Case, dtype: torch.dtype, kept: Kept) -> CudaTable:
    return CudaTable(cuda_kernel(program(case, dtype)), *kept)


def take_step(table: Table, case: Case, seed: int, without: Sequence[int] = ()) -> None:
    for index, param in enumerate(table.params):
        grad = random(*param.shape, seed=100 * seed + index).to(param.dtype)
        param.grad = None if index in without else grad
    assert table.gather() == []
    table.step(numbers_of(case.hyper, OPTIONS))


def assert_same_bits(a: Kept, b: Kept) -> None:
    for left, right in zip(a[0], b[0], strict=True):
        assert same_bits(left.detach(), right.detach())
    for left, right in zip(a[1], b[1], strict=True):
        assert all(same_bits(left[name], right[name]) for name in left)


@pytest.mark.parametrize("dtype", FULL, ids=str)
@pytest.mark.parametrize("name", BITWISE)
def test_operation_has_the_bits_of_pytorch(name: str, dtype: torch.dtype) -> None:
    grad, param = operands(dtype)
    expected = BITWISE[name](grad, param, 0.3)
    assert same_bits(computed(BITWISE[name], grad, param), expected)


@pytest.mark.parametrize("dtype", FULL, ids=str)
@pytest.mark.parametrize("name", NEARLY)
def test_operation_is_within_rounding_of_pytorch(name: str, dtype: torch.dtype) -> None:
    grad, param = operands(dtype)
    tolerance = 4 * torch.finfo(dtype).eps  # two libraries, each off by up to two units
    torch.testing.assert_close(
        computed(NEARLY[name], grad, param),
        NEARLY[name](grad, param, 0.3),
        rtol=tolerance,
        atol=1e-37,
        equal_nan=True,
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_every_number_of_sixteen_bits_goes_through_unchanged(dtype: torch.dtype) -> None:
    param = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype)
    new = computed(lambda g, p, x: p * 1.0, torch.zeros_like(param), param)
    assert same_bits(new.float(), param.float())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", RULES, ids=str)
def test_five_steps_have_the_bits_of_the_cpus_kernel(case: Case, dtype: torch.dtype) -> None:
    ours, theirs = fresh(case, dtype), fresh(case, dtype)
    tables = on_cuda(case, dtype, ours), on_cpu(case, dtype, theirs)
    for seed in range(5):
        for table in tables:
            take_step(table, case, seed, without=[1, 4] if seed == 2 else [])
    assert_same_bits(ours, theirs)


@pytest.mark.parametrize("case", [case for case in FORMS if not case.is_default], ids=str)
def test_every_form_has_the_bits_of_the_cpus_kernel(case: Case) -> None:
    ours, theirs = fresh(case, torch.float32), fresh(case, torch.float32)
    for table in (on_cuda(case, torch.float32, ours), on_cpu(case, torch.float32, theirs)):
        for seed in range(2):
            take_step(table, case, seed)
    assert_same_bits(ours, theirs)


ADAM, NADAM = (Case(make.__name__, make) for make in (Adam, NAdam))


def test_blocks_read_a_counter_before_one_of_them_advances_it() -> None:
    # Blocks run from the last to the first: a write by any but the last reader would be read.
    kept = fresh(NADAM, torch.float32, [(9000,), (3,), (0,)])
    table = on_cuda(NADAM, torch.float32, kept)
    take_step(table, NADAM, seed=0)
    assert table._launch.blocks[-1] == 9 + 1 + 1
    assert [state["step"].item() for state in kept[1]] == [1.0, 1.0, 1.0]
    products = [state["mu_product"].item() for state in kept[1]]
    assert products == [products[0]] * 3
    assert table._tickets.tolist() == [0, 0, 0]


def test_a_thread_goes_on_to_the_next_elements_of_its_block() -> None:
    # Above 2 million elements a block has more of them than its threads take at a time.
    param, number = torch.arange(2_200_000, dtype=torch.float32), 0.5
    grad = param.flip(0)
    expected = BITWISE["chain"](grad, param, number)
    assert torch.equal(computed(BITWISE["chain"], grad, param, number), expected)


def test_tensors_without_a_gradient_keep_their_counter() -> None:
    kept = fresh(ADAM, torch.float32, [(3,), (4,), (5,)])
    table = on_cuda(ADAM, torch.float32, kept)
    for seed, without in enumerate([[], [0], [0, 1]]):
        take_step(table, ADAM, seed, without)
    assert [state["step"].item() for state in kept[1]] == [1.0, 2.0, 3.0]


def test_a_step_without_any_gradient_launches_nothing() -> None:
    kept = fresh(ADAM, torch.float32, [(3,)])
    table = on_cuda(ADAM, torch.float32, kept)
    launches = len(table._launch.blocks)
    take_step(table, ADAM, seed=0, without=[0])
    assert len(table._launch.blocks) == launches


def test_tensors_that_begin_between_words_have_the_same_bits() -> None:
    # Four elements are read at once only where all tensors of a row allow it.
    base, number = random(4101), 0.3
    expected = BITWISE["chain"](base[1:], base[:-1], number)
    assert same_bits(computed(BITWISE["chain"], base[1:], base[:-1]), expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_tensor_is_read_where_it_lies_when_the_kernel_runs(dtype: torch.dtype) -> None:
    grad, param, number = torch.ones(3), torch.ones(3), torch.tensor(0.25, dtype=dtype)
    param.grad = grad
    table = CudaTable(kernel_of(lambda g, p, x: p - x * g, torch.float32), [param], [{}])
    numbers = [number, 0.0]
    for value in (0.25, 0.5):
        number.fill_(value)
        table.gather()
        table.step(numbers)
    assert param.tolist() == [0.25] * 3


def test_a_tensor_of_integers_is_taken_as_a_number() -> None:
    grad = param = torch.ones(3)
    new = computed(lambda g, p, x: p * x, grad, param, torch.tensor(3))
    assert new.tolist() == [3.0] * 3


def test_a_number_may_take_a_tensors_place() -> None:
    param = torch.ones(3)
    param.grad = torch.ones(3)
    table = CudaTable(kernel_of(lambda g, p, x: p - x * g, torch.float32), [param], [{}])
    for number in (torch.tensor(0.5), 0.25):
        table.gather()
        table.step([number, 0.0])
    assert param.tolist() == [0.25] * 3


@pytest.mark.parametrize("count", [76, 77, 627, 628])
@pytest.mark.usefixtures("as_on_cuda")
def test_any_number_of_tensors_is_updated_once(count: int) -> None:
    # Adam's launch takes 76 tensors in the short form, 627 in the long one.
    params = [nn.Parameter(torch.full((3,), float(i))) for i in range(count)]
    for param in params:
        param.grad = torch.ones(3)
    optimizer = Adam(params, lr=0.5, fast=True)
    optimizer.step()
    # The first step of Adam is lr times the gradient's sign, but for eps.
    moved = torch.stack([param.detach()[0] for param in params])
    torch.testing.assert_close(moved, torch.arange(count) - 0.5, rtol=1e-6, atol=1e-6)
    assert {state["step"].item() for state in optimizer.state.values()} == {1.0}


@pytest.mark.usefixtures("as_on_cuda")
def test_an_optimizer_is_the_same_on_a_device() -> None:
    results = []
    for fast in (True, False):
        params = [nn.Parameter(random(*s, seed=i)) for i, s in enumerate(SHAPES)]
        optimizer = SGD(params, lr=torch.tensor(0.5), weight_decay=0.1, fast=fast)
        for step in range(3):
            for index, param in enumerate(params):
                param.grad = random(*param.shape, seed=10 * step + index)
            optimizer.param_groups[0]["lr"].mul_(0.5)
            optimizer.step()
        results.append(params)
    assert all(map(torch.equal, *results))
