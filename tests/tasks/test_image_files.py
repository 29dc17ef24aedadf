"""Data files that are damaged, hostile or something else: one sentence, and nothing is run."""

import hashlib
import os
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets

from optlab.cli import main
from optlab.config import ConfigError
from optlab.files import DamagedFileError
from optlab.tasks.image_files import cifar_batch, idx_images, idx_labels
from optlab.tasks.vision import Cifar10, FashionMnist, Mnist
from tests.tasks.image_sets import cifar_files, idx_bytes

IMAGES, LABELS = "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
SMALL = np.zeros((2, 28, 28), np.uint8)

DAMAGE = {
    "empty": (IMAGES, b"", "it has 0 bytes, fewer than its header of 16"),
    "half a header": (IMAGES, b"\x00\x00\x08", "it has 3 bytes"),
    "labels for images": (IMAGES, idx_bytes(SMALL[0, 0]), "00000801 in place of 00000803"),
    "floats": (IMAGES, b"\x00\x00\x0d\x03" + bytes(12), "begins with 00000d03"),
    "compressed": (LABELS, b"\x1f\x8b\x08\x00" + bytes(12), "begins with 1f8b0800"),
    "truncated": (IMAGES, idx_bytes(SMALL)[:-1], "claims 1568 values, shape (2, 28, 28), and 1567"),
    "too long": (LABELS, idx_bytes(SMALL[0, 0]) + b"\x00", "claims 28 values, shape (28,), and 29"),
    "no rows": (IMAGES, idx_bytes(SMALL[:0]), "images of shape (0, 28, 28)"),
    "other size": (IMAGES, idx_bytes(SMALL[:, :27]), "images of shape (2, 27, 28)"),
    "beyond memory": (IMAGES, b"\x00\x00\x08\x03" + b"\xff" * 12, "and 0 follow"),
    "label 10": (LABELS, idx_bytes(np.array([1, 10], np.uint8)), "a label 10, and classes are 0"),
    "too few labels": (LABELS, idx_bytes(np.zeros(19, np.uint8)), "19 labels for 20 images"),
}  # fmt: skip


def refused(task: Callable[..., Mnist | Cifar10], options: dict) -> str:
    """Return the sentence with which the files are refused."""
    with pytest.raises(ConfigError) as caught:
        task(**options).load()
    assert caught.value.__cause__ is None
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize("task", [Mnist, FashionMnist])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_idx_file_is_named_with_what_is_wrong_and_what_to_do(task, damage, small_options):
    name, content, reason = DAMAGE[damage]
    options = small_options(task)
    path = Path(options["root"]) / task.DATASET / "raw" / name
    path.write_bytes(content)
    line = refused(task, options)
    assert line.startswith(f"{path} is damaged: ")
    assert reason in line
    assert "; delete it, then task.download=true fetches it anew, or set task.root to" in line
    assert path.read_bytes() == content


def test_a_damaged_file_is_one_sentence_of_the_command_line(
    small_options, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    path = Path(small_options(Mnist)["root"]) / "MNIST" / "raw" / IMAGES
    path.write_bytes(path.read_bytes()[:-7])
    line = ["task=mnist", f"task.root={path.parents[2]}", "trainer.epochs=1", "model=linear"]
    assert main(["train", *line]) == 2
    (said,) = capfd.readouterr().err.splitlines()
    assert said.startswith(f"optlab train: {path} is damaged: its header claims 39200 values")
    assert main(["sweep", *line, "seed=0,1", "sweep.dir=out"]) == 2
    assert f"{path} is damaged" in capfd.readouterr().err


def test_a_folder_and_a_pipe_in_place_of_a_file_are_said_so_at_once(small_options):
    options = small_options(Mnist)
    path = Path(options["root"]) / "MNIST" / "raw" / LABELS
    path.unlink()
    path.mkdir()
    assert "it is a folder" in refused(Mnist, options)
    path.rmdir()
    os.mkfifo(path)
    assert "it is no regular file" in refused(Mnist, options)


def test_a_file_that_may_not_be_read_is_to_be_made_readable(small_options, monkeypatch):
    options, read = small_options(Mnist), Path.read_bytes

    def forbidden(path: Path) -> bytes:
        if path.name == LABELS:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    assert f"{LABELS}: Permission denied; make it readable, or" in refused(Mnist, options)


class Trap:
    """A pickle that makes a folder when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("download", [True, False])
@pytest.mark.parametrize("name", ["data_batch_3", "test_batch"])
def test_a_pickle_with_another_checksum_is_never_read(name, download, small_options, tmp_path):
    options = small_options(Cifar10) | {"download": download}
    batch = Path(options["root"]) / "cifar-10-batches-py" / name
    batch.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    assert f"{batch} is damaged: its MD5 sum is" in refused(Cifar10, options)
    assert not (tmp_path / "sprung").exists()


def test_a_pickle_that_no_task_needs_is_not_read(small_options, tmp_path):
    options = small_options(Cifar10)
    meta = Path(options["root"]) / "cifar-10-batches-py" / "batches.meta"
    meta.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    Cifar10(**options).load()
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("download", [True, False])
def test_processed_files_of_old_versions_are_not_read(download, small_options, tmp_path):
    options = small_options(Mnist) | {"download": download}
    processed = Path(options["root"]) / "MNIST" / "processed"
    processed.mkdir()
    for name in ("training.pt", "test.pt"):
        torch.save(Trap(tmp_path / "sprung"), processed / name)
    assert len(Mnist(**options).load().train) == 40
    assert not (tmp_path / "sprung").exists()


def test_a_missing_batch_is_named(small_options):
    options = small_options(Cifar10)
    (Path(options["root"]) / "cifar-10-batches-py" / "data_batch_2").unlink()
    assert "(data_batch_2) and task.download is false" in refused(Cifar10, options)


def test_the_published_checksums_refuse_files_of_our_own(small_options, monkeypatch):
    published = datasets.CIFAR10
    options = small_options(Cifar10)
    monkeypatch.setattr(datasets, "CIFAR10", published)
    assert "not the published c99cafc152244af753f735de768cd75f" in refused(Cifar10, options)


def with_its_sum(content: bytes) -> tuple[bytes, str]:
    return content, hashlib.md5(content).hexdigest()


def test_even_with_the_right_checksum_a_pickle_calls_nothing(tmp_path):
    with pytest.raises(DamagedFileError, match=r"it calls posix\.mkdir"):
        cifar_batch(*with_its_sum(pickle.dumps(Trap(tmp_path / "sprung"))))
    assert not (tmp_path / "sprung").exists()
    encode = b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x03\x00\x00\x00ziptR."
    with pytest.raises(DamagedFileError, match="it encodes as 'zip'"):
        cifar_batch(*with_its_sum(encode))


BATCH = {"data": np.zeros((2, 3072), np.uint8), "labels": [0, 9]}


@pytest.mark.parametrize(
    ("batch", "reason"),
    [
        ([1, 2], "no batch"),
        ({"labels": [0, 9]}, "no pixels"),
        ({"data": BATCH["data"]}, "no list of 2 labels"),
        (BATCH | {"data": np.zeros((2, 3071), np.uint8)}, "pixels of shape"),
        (BATCH | {"data": np.zeros((2, 3072), np.float32)}, "no pixels"),
        (BATCH | {"data": [[0] * 3072] * 2}, "no pixels"),
        (BATCH | {"labels": [0]}, "no list of 2 labels"),
        (BATCH | {"labels": [0, "1"]}, "no small numbers"),
        (BATCH | {"labels": [0, -1]}, "no small numbers"),
        (BATCH | {"labels": [0, 10]}, "a label 10"),
    ],
)
def test_a_pickle_of_something_else_is_no_batch(batch, reason):
    with pytest.raises(DamagedFileError, match=reason):
        cifar_batch(*with_its_sum(pickle.dumps(batch)))


def test_the_arrays_of_a_batch_are_those_that_pickle_reads():
    content = cifar_files()["test_batch"]
    x, y = cifar_batch(*with_its_sum(content))
    read = pickle.loads(content)
    assert x.reshape(20, 3072).tolist() == read["data"].tolist()
    assert y.tolist() == read["labels"]


def test_a_batch_as_python_2_wrote_it_is_read():
    pixels = bytes(range(256)) * 12
    content = (
        b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b"
        b"\x87R(K\x01K\x01M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff"
        b"\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T\x00\x0c\x00\x00"
        + pixels
        + b"tbU\x06labels](K\x03eu."
    )
    with warnings.catch_warnings(action="error"):
        x, y = cifar_batch(*with_its_sum(content))
    assert (x.tobytes(), y.tolist()) == (pixels, [3])


def test_whole_files_are_their_arrays():
    draws = np.random.default_rng(0)
    images = draws.integers(0, 256, (3, 28, 28), dtype=np.uint8)
    assert np.array_equal(idx_images(idx_bytes(images)), images)
    assert idx_labels(idx_bytes(np.arange(10, dtype=np.uint8))).tolist() == list(range(10))
