"""Tiny image sets in the true on-disk formats, written where the tasks look."""

import hashlib
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

NUM_TRAIN, NUM_TEST = 50, 20


def idx_bytes(array: np.ndarray) -> bytes:
    """Return unsigned bytes in LeCun's IDX format: magic number, lengths, values."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.tobytes()


def idx_files() -> dict[str, bytes]:
    """Return the four files of an MNIST-like set, its labels 0 to 9 in turn."""
    draws = np.random.default_rng(0)
    files = {}
    for part, rows in (("train", NUM_TRAIN), ("t10k", NUM_TEST)):
        images = draws.integers(0, 256, (rows, 28, 28), dtype=np.uint8)
        labels = np.arange(rows, dtype=np.uint8) % 10
        files[f"{part}-images-idx3-ubyte"] = idx_bytes(images)
        files[f"{part}-labels-idx1-ubyte"] = idx_bytes(labels)
    return files


def write_idx(root: Path, dataset: str, patch: pytest.MonkeyPatch) -> None:
    folder = root / dataset / "raw"
    folder.mkdir(parents=True)
    for name, content in idx_files().items():
        (folder / name).write_bytes(content)


def cifar_files() -> dict[str, bytes]:
    """Return the pickles of a CIFAR-10 set, ten training rows in each of five batches."""
    draws = np.random.default_rng(0)
    parts = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    rows = dict.fromkeys(parts[:5], NUM_TRAIN // 5) | {"test_batch": NUM_TEST}
    files = {}
    for part in parts:
        batch = {
            "batch_label": part,
            "labels": [i % 10 for i in range(rows[part])],
            "data": draws.integers(0, 256, (rows[part], 3072), dtype=np.uint8),
            "filenames": [f"{i}.png" for i in range(rows[part])],
        }
        files[part] = pickle.dumps(batch, protocol=2)
    files["batches.meta"] = pickle.dumps({"label_names": list("abcdefghij")}, protocol=2)
    return files


def cifar_of(files: dict[str, bytes]) -> type[datasets.CIFAR10]:
    """Return torchvision's class with the checksums of these files in place of the published."""
    sums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}

    lists = {
        "train_list": [[name, sums[name]] for name in sums if name.startswith("data_batch")],
        "test_list": [["test_batch", sums["test_batch"]]],
        "meta": datasets.CIFAR10.meta | {"md5": sums["batches.meta"]},
    }
    return type("SmallCifar", (datasets.CIFAR10,), lists)


def write_cifar(root: Path, dataset: str, patch: pytest.MonkeyPatch) -> None:
    files = cifar_files()
    folder = root / datasets.CIFAR10.base_folder
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    patch.setattr(datasets, dataset, cifar_of(files))


def cifar_archive_of(files: dict[str, bytes]) -> bytes:
    """Return the pickles as they are published, in one compressed archive."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{datasets.CIFAR10.base_folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()


WRITERS = {"idx": write_idx, "cifar": write_cifar}
