"""Ways to run CUDA kernels without a device."""

import pytest

from optlab.optim.fast import cuda, group, kernel
from optlab.optim.fast.cuda_table import CudaTable
from tests.optim.fast import emulation


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Launch CUDA kernels on the CPU."""
    monkeypatch.setattr(cuda, "launcher", emulation.launcher)
    monkeypatch.setattr(cuda, "is_capturing", lambda: False)


@pytest.fixture
def as_on_cuda(emulated: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let optimizers treat tensors on the CPU as those on a CUDA device."""
    monkeypatch.setitem(kernel.MAKERS, "cpu", kernel.cuda_kernel)
    monkeypatch.setitem(group.TABLES, "cpu", CudaTable)
