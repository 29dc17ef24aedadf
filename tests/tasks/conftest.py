"""Options under which every task loads here, and image sets as they are published."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tasks.image_sets import WRITERS, cifar_archive_of, cifar_files, idx_files


@pytest.fixture
def small_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Any]:
    """Return options under which a task class loads here, its files written if it reads any."""

    def prepare(task: Any) -> dict[str, Any]:
        if not hasattr(task, "FORMAT"):
            return {}
        WRITERS[task.FORMAT](tmp_path, task.DATASET, monkeypatch)
        return {"root": str(tmp_path), "download": False, "val_rows": 10}

    return prepare


@pytest.fixture
def idx_archives() -> dict[str, bytes]:
    """Return the four files of an MNIST-like set as they are published, compressed."""
    return {f"{name}.gz": gzip.compress(content) for name, content in idx_files().items()}


@pytest.fixture
def cifar_archive() -> bytes:
    """Return a CIFAR-10 set as it is published."""
    return cifar_archive_of(cifar_files())
