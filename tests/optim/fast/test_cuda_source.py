"""What NVIDIA's compiler makes of the kernels; it needs no device."""

import ctypes
import re

import pytest
import torch

from optlab.check import Case
from optlab.compiler import NoCompiler
from optlab.optim import SGD, Adam, NAdam
from optlab.optim.apply import first_state
from optlab.optim.fast import cuda
from optlab.optim.fast.cuda_source import LONG, PREAMBLE, SHORT, arguments_type, rows_within
from optlab.optim.fast.kernel import CudaKernel, cuda_kernel, program_of
from optlab.optim.groups import GradientOptions
from tests.contract.forms import CASES, first_of_each

RULES = first_of_each([case for case in CASES if case.rule.elementwise])


def kernel_of(case: Case, dtype: torch.dtype = torch.float32) -> CudaKernel:
    options = GradientOptions()
    state = first_state(case.rule, torch.ones(2, dtype=dtype), case.hyper, options)
    return cuda_kernel(program_of(case.rule, case.hyper, options, dtype, state))


@pytest.fixture
def nvrtc() -> None:
    try:
        cuda._nvrtc()
    except NoCompiler as reason:
        pytest.skip(str(reason))


@pytest.mark.usefixtures("nvrtc")
@pytest.mark.parametrize("case", RULES, ids=str)
def test_every_rule_compiles(case: Case) -> None:
    # Parameters of 16 bits with a state of 32 need both kinds of loads.
    _, source = kernel_of(case, torch.bfloat16).long
    assert cuda.cubin(PREAMBLE + source, "sm_90").startswith(b"\x7fELF")


@pytest.mark.usefixtures("nvrtc")
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64], ids=str)
def test_every_dtype_compiles_for_the_oldest_architecture(dtype: torch.dtype) -> None:
    _, source = kernel_of(Case("adam", Adam), dtype).short
    assert cuda.cubin(PREAMBLE + source, "sm_75").startswith(b"\x7fELF")


@pytest.mark.usefixtures("nvrtc")
def test_arithmetic_is_rounded_once_and_moves_four_numbers_at_a_time() -> None:
    _, source = kernel_of(Case("adam", Adam)).short
    text = cuda.ptx(PREAMBLE + source, "compute_80")
    assert "div.rn.f32" in text
    assert "sqrt.rn.f32" in text
    assert not re.search(r"(fma|div\.full|div\.approx|sqrt\.approx|\.ftz)\S*\.f32", text)
    assert text.count("ld.global.v4.f32") + text.count("ld.global.nc.v4.f32") == 4
    assert text.count("st.global.v4.f32") == 3
    assert ".local" not in text  # the lanes are registers


@pytest.mark.usefixtures("nvrtc")
def test_a_refused_source_is_reported_with_the_first_complaint() -> None:
    with pytest.raises(NoCompiler, match=r"NVRTC refused a kernel for sm_90: .*error.*nothing"):
        cuda.cubin("__global__ void f() { nothing(); }", "sm_90")


@pytest.mark.usefixtures("nvrtc")
def test_an_architecture_that_the_compiler_does_not_know_is_reported() -> None:
    with pytest.raises(NoCompiler, match="NVRTC refused a kernel for sm_10"):
        cuda.cubin("", "sm_10")


def test_without_the_compiler_the_reason_says_where_it_comes_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.version, "cuda", "99.0")
    cuda._nvrtc.cache_clear()
    try:
        with pytest.raises(NoCompiler, match=r"no libnvrtc\.so\.99 .*comes with PyTorch's"):
            cuda._nvrtc()
        monkeypatch.setattr(torch.version, "cuda", None)
        with pytest.raises(NoCompiler, match="built without CUDA"):
            cuda._nvrtc()
    finally:
        cuda._nvrtc.cache_clear()


@pytest.mark.parametrize("make", [SGD, Adam, NAdam])
@pytest.mark.parametrize("limit", [SHORT, LONG])
def test_arguments_fill_what_a_launch_may_carry(make: type, limit: int) -> None:
    layout = kernel_of(Case("", make)).program.layout
    rows = rows_within(layout, limit)
    assert ctypes.sizeof(arguments_type(layout, rows)) <= limit
    assert ctypes.sizeof(arguments_type(layout, rows + 1)) > limit - 8
