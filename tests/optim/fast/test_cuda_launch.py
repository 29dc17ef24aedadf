"""How a kernel is loaded and launched, with a driver that runs it on the CPU.

The stand-in has the functions of libcuda.so.1 that are called, with the signatures of cuda.h, and
like it refuses a thread that has no context.
"""

import contextlib
import ctypes
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from optlab import compiler
from optlab.optim.fast import NotCompiled, cuda, cuda_table
from optlab.optim.fast.cuda_source import PREAMBLE
from optlab.optim.fast.cuda_table import CudaTable
from optlab.optim.fast.kernel import cuda_kernel, program_of
from optlab.optim.groups import GradientOptions
from tests.optim.fast import emulation
from tests.optim.fast.formulas import Number, rule_of

DRIVER = r"""
#include <dlfcn.h>
#include <stddef.h>
typedef int CUresult;
typedef int CUdevice;
typedef void *CUcontext, *CUmodule, *CUfunction, *CUstream;
typedef void (*launch)(int, int, const void *);

int version = 13000, next_error = 0, contexts = 0;
void *last_stream = NULL;
static _Thread_local CUcontext current = NULL;
static int context;

CUresult cuDriverGetVersion(int *answer) { *answer = version; return 0; }
CUresult cuDevicePrimaryCtxRetain(CUcontext *answer, CUdevice device) {
    *answer = &context;
    return device == 0 ? 0 : 101;
}
CUresult cuCtxSetCurrent(CUcontext given) { current = given; contexts++; return 0; }
CUresult cuModuleLoadData(CUmodule *module, const void *image) {
    if (!current) return 201;
    *module = dlopen(image, RTLD_NOW);
    return *module ? 0 : 200;
}
CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    *function = name[0] == 'o' ? dlsym(module, "launch_0") : NULL;
    return *function ? 0 : 500;
}
CUresult cuLaunchKernel(CUfunction f, unsigned x, unsigned y, unsigned z, unsigned a, unsigned b,
                        unsigned c, unsigned shared, CUstream stream, void **given, void **extra) {
    if (!current) return 201;
    if (next_error) return next_error;
    if (y != 1 || z != 1 || b != 1 || c != 1 || shared || extra) return 1;
    last_stream = stream;
    ((launch)f)(x, a, given[0]);
    return 0;
}
CUresult cuGetErrorString(CUresult error, const char **text) { *text = "a reason"; return 0; }
"""
STREAM = 0x7F0012345678  # more than 32 bits


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[ctypes.CDLL]:
    """Put the stand-in where the driver is, and one device behind PyTorch's functions."""
    compilers = ("CC", "cc", "gcc", "clang")
    stand_in = compiler._library(DRIVER, ".c", compilers, [("-O1", "-ldl")])
    answers: dict[str, Any] = {
        "device": lambda index: contextlib.nullcontext(),
        "current_device": lambda: 0,
        "current_stream": lambda index: SimpleNamespace(cuda_stream=STREAM),
        "get_device_capability": lambda index: (9, 0),
        "is_current_stream_capturing": lambda: False,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(torch.cuda, name, answer)
    monkeypatch.setattr(cuda, "cubin", image)
    monkeypatch.setattr(cuda, "_DRIVER", stand_in._name)
    known = cuda._driver, cuda.launcher
    for function in known:
        function.cache_clear()
    number(stand_in, "version").value, number(stand_in, "next_error").value = 13000, 0
    yield stand_in
    for function in known:
        function.cache_clear()


def image(source: str, architecture: str) -> bytes:
    """Return what the stand-in loads: the path of a kernel compiled for the CPU."""
    assert architecture == "sm_90"
    return emulation.library([source.removeprefix(PREAMBLE)])._name.encode()


def number(library: ctypes.CDLL, name: str) -> ctypes.c_int:
    return ctypes.c_int.in_dll(library, name)


def table_of(param: torch.Tensor) -> CudaTable:
    """Return a table for ``p - number * g``; its device is the CPU, which has the number 0 here."""
    param.grad = torch.ones_like(param)
    made = cuda_kernel(program_of(rule_of(formula), Number(), GradientOptions(), param.dtype, {}))
    return CudaTable(made, [param], [{}])


def formula(g: torch.Tensor, p: torch.Tensor, x: Any) -> torch.Tensor:
    return p - x * g


def step(table: CudaTable) -> None:
    assert table.gather() == []
    table.step([0.25, 0.0])


@pytest.mark.usefixtures("driver")
def test_a_kernel_is_loaded_and_given_its_arguments() -> None:
    param = torch.ones(5000)
    table = table_of(param)
    for _ in range(2):
        step(table)
    assert set(param.tolist()) == {0.5}


def test_it_runs_on_pytorchs_current_stream(driver: ctypes.CDLL) -> None:
    step(table_of(torch.ones(3)))
    assert ctypes.c_void_p.in_dll(driver, "last_stream").value == STREAM


def test_a_thread_that_never_called_cuda_may_launch(driver: ctypes.CDLL) -> None:
    param = torch.ones(3)
    table = table_of(param)
    before = number(driver, "contexts").value
    thread = threading.Thread(target=step, args=(table,))
    thread.start()
    thread.join()
    assert param.tolist() == [0.75] * 3
    assert number(driver, "contexts").value == before + 1


def test_another_current_device_is_put_aside_for_the_launch(
    driver: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch
) -> None:
    param, current, chosen = torch.ones(3), [1], []

    @contextlib.contextmanager
    def device(index: int) -> Iterator[None]:
        chosen.append(index)
        current.append(index)
        yield
        current.pop()

    table = table_of(param)
    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: current[-1])
    step(table)
    assert (chosen, current) == ([0], [1])
    assert param.tolist() == [0.75] * 3


def test_a_refused_launch_is_an_error_with_the_drivers_words(driver: ctypes.CDLL) -> None:
    table = table_of(torch.ones(3))
    number(driver, "next_error").value = 719
    with pytest.raises(RuntimeError, match=r"cuLaunchKernel: a reason \(719\)"):
        step(table)


def test_what_a_graph_points_to_outlives_the_table(
    driver: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_table, "_captured", [])
    table = table_of(torch.ones(3))
    step(table)
    assert cuda_table._captured == []
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    step(table)
    step(table)
    assert [kept is table._tickets for kept in cuda_table._captured] == [True]


def image_of_another(patch: pytest.MonkeyPatch, driver: ctypes.CDLL) -> None:
    patch.setattr(cuda, "cubin", lambda source, architecture: b"/nowhere")


def old_device(patch: pytest.MonkeyPatch, driver: ctypes.CDLL) -> None:
    patch.setattr(torch.cuda, "get_device_capability", lambda index: (6, 1))


def old_driver(patch: pytest.MonkeyPatch, driver: ctypes.CDLL) -> None:
    number(driver, "version").value = 12000


def other_vendor(patch: pytest.MonkeyPatch, driver: ctypes.CDLL) -> None:
    patch.setattr(torch.version, "hip", "7.0")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (image_of_another, r"cuda:0 refused a kernel: cuModuleLoadData: a reason \(200\)"),
        (old_device, "kernels need compute capability 7.0, cuda:0 has 6.1"),
        (old_driver, "kernels need a driver for CUDA 12.1, this one is for 12.0"),
        (other_vendor, "kernels are for CUDA, this PyTorch is for ROCm"),
    ],
)
def test_where_it_cannot_run_the_reason_is_given(
    change: Any, reason: str, driver: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(monkeypatch, driver)
    with pytest.raises(NotCompiled, match=reason):
        table_of(torch.ones(3))
