"""A result to end a run with, and a limit on file sizes that stands in for a full disk."""

import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from optlab.results import RunResult


@pytest.fixture
def make_result() -> Callable[..., RunResult]:
    """Return a function that makes a result; keywords replace fields."""

    def make(**fields: object) -> RunResult:
        defaults: dict[str, object] = {
            "name": "adam",
            "status": "done",
            "updates": 400,
            "epochs": 10.0,
            "train": {"loss": 0.1},
            "val": {"loss": 0.2, "accuracy": 0.9},
            "test": {},
            "total_s": 2.0,
            "training_s": 1.5,
            "config_hash": "0123456789ab",
            "seed": 0,
            "device": "a device",
            "started": "2026-01-01T00:00:00+00:00",
        }
        return RunResult(**{**defaults, **fields})

    return make


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """Return a context in which no file can grow beyond so many bytes (EFBIG for ENOSPC)."""

    @contextmanager
    def limited(num_bytes: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited
