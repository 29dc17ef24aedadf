"""Settings that hold for every test: one thread, reproducible examples, no CUDA where none is."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by torch at import, here and in subprocesses
# Products of matrices add in one order wherever they lie in memory; read by MKL at its first.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)

settings.register_profile("optlab", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("optlab")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Start torch's global generator alike for every test; new layers draw from it."""
    torch.manual_seed(0)
