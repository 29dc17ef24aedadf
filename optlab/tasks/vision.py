"""MNIST, Fashion-MNIST and CIFAR-10, read by torchvision's own classes (CNN-04).

Shapes: images (N, channels, height, width), float32; labels (N,), int64.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, ClassVar

import torch

from optlab import seeding
from optlab.config import ConfigError
from optlab.registry import tasks
from optlab.tasks.base import CheckedTask, Data, Split
from optlab.tasks.standardize import standardize_splits
from optlab.types import Count, Natural

#: Silence of a server after which a download is given up.
TIMEOUT_S = 15.0

#: What torchvision lets through when files are absent, damaged or cannot be downloaded.
_FAILURES = (
    RuntimeError, OSError, HTTPException, ValueError, TypeError, LookupError, AssertionError
)  # fmt: skip


@dataclass(frozen=True)
class ImageClasses(CheckedTask):
    """An image set of torchvision: its training set cut at random in two, its own test set.

    Pixels are divided by 255, then standardized per channel by the training rows.

    Attributes:
        root: Folder of image sets.
        download: Fetch the files when they are not there.
        val_rows: Rows of the training set held out for validation.
        data_seed: Seed of the choice of validation rows.
        DATASET: Name of the class in `torchvision.datasets`.
        FILES: What must lie under ``root``, for the message when it does not.
        FORMAT: How the files are laid out: ``"idx"`` or ``"cifar"``.
    """

    root: str = "data"
    download: bool = True
    val_rows: Count = 10_000
    data_seed: Natural = 0

    DATASET: ClassVar[str]
    FILES: ClassVar[str]
    FORMAT: ClassVar[str]
    default_loss: ClassVar[str] = "sparse_cce"

    def load(self) -> Data:
        """Read the files, downloading them first where needed and allowed."""
        known, test = self._read(train=True), self._read(train=False)
        if self.val_rows >= len(known):
            raise ConfigError(
                f"val_rows must be less than {len(known)}, the rows of the training set, "
                f"got {self.val_rows} (task.val_rows)"
            )
        order = torch.randperm(len(known), generator=seeding.generator(self.data_seed, "data"))
        val, train = (
            Split(known.x[rows], known.y[rows]) for rows in order.tensor_split((self.val_rows,))
        )
        splits = (_unit_range(train), _unit_range(val), _unit_range(test))
        return Data(*standardize_splits(*splits, dims=(0, 2, 3)), num_classes=10)

    def _read(self, *, train: bool) -> Split:
        """Return pixels as they are stored, uint8, and labels."""
        try:
            return _as_split(self._dataset(train))
        except _FAILURES as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            tried = "could not be downloaded" if self.download else "task.download is false"
            raise ConfigError(
                f"the files of {self.DATASET} are missing or damaged in "
                f"{Path(self.root).absolute()} and {tried}: delete damaged ones and put "
                f"{self.FILES} there, or set task.root to the folder that holds them ({reason})"
            ) from None

    def _dataset(self, train: bool) -> Any:
        from torchvision import datasets  # takes a second; not needed by other tasks

        dataset = getattr(datasets, self.DATASET)
        try:
            return dataset(self.root, train=train)
        except RuntimeError:
            if not self.download:
                raise
        with _alone(Path(self.root) / f".{self.DATASET}.lock"), _timeout(TIMEOUT_S):
            return dataset(self.root, train=train, download=True)


@tasks.register("mnist")
@dataclass(frozen=True)
class Mnist(ImageClasses):
    """Handwritten digits, 28 x 28, 60,000 and 10,000 rows (LeCun, Cortes and Burges, 1998)."""

    DATASET = "MNIST"
    FILES = (
        "MNIST/raw/train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
        "t10k-labels-idx1-ubyte (or these as .gz, which task.download=true unpacks)"
    )
    FORMAT = "idx"


@tasks.register("fashion_mnist")
@dataclass(frozen=True)
class FashionMnist(ImageClasses):
    """Articles of clothing in the format of MNIST (Xiao, Rasul and Vollgraf, 2017)."""

    DATASET = "FashionMNIST"
    FILES = "Fashion" + Mnist.FILES
    FORMAT = "idx"


@tasks.register("cifar10")
@dataclass(frozen=True)
class Cifar10(ImageClasses):
    """Photographs of ten things, 3 x 32 x 32, 50,000 and 10,000 rows (Krizhevsky, 2009).

    The files are Python pickles, which can run code: torchvision reads one only after its MD5 sum
    was found to be the published one.
    """

    val_rows: Count = 5_000

    DATASET = "CIFAR10"
    FILES = (
        "cifar-10-batches-py/data_batch_1 to data_batch_5, test_batch and batches.meta (or "
        "cifar-10-python.tar.gz, which task.download=true unpacks)"
    )
    FORMAT = "cifar"


def _as_split(dataset: Any) -> Split:
    """Return a torchvision dataset as uint8 pixels (N, C, H, W) and labels, checked."""
    x, y = torch.as_tensor(dataset.data), torch.as_tensor(dataset.targets)
    x = x.unsqueeze(1) if x.ndim == 3 else x.permute(0, 3, 1, 2)
    if len(x) != len(y) or len(y) == 0 or not 0 <= int(y.min()) <= int(y.max()) < 10:
        raise ValueError(f"{len(x)} images and {len(y)} labels that do not fit them")
    return Split(x, y)


def _unit_range(split: Split) -> Split:
    return Split(
        split.x.to(torch.float32, memory_format=torch.contiguous_format).div_(255), split.y
    )


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time download; the runs of a sweep may start together."""
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        yield


@contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    """Bound every wait for a server: torchvision sets no limit of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
