"""MNIST, Fashion-MNIST and CIFAR-10, from the files that torchvision knows where to fetch (CNN-04).

Shapes: images (N, channels, height, width), float32; labels (N,), int64.
"""

import gzip
import os
import tarfile
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch

from optlab import seeding
from optlab.config import ConfigError
from optlab.files import DamagedFileError, content_of
from optlab.registry import tasks
from optlab.results import write_atomic
from optlab.tasks.base import CheckedTask, Data, Split
from optlab.tasks.downloads import FAILURES, alone, fetch_file
from optlab.tasks.image_files import (
    NUM_CLASSES,
    Bytes,
    cifar_batch,
    idx_images,
    idx_labels,
)
from optlab.tasks.standardize import standardize_splits
from optlab.types import Count, Natural

T = TypeVar("T")


@dataclass(frozen=True)
class ImageClasses(CheckedTask):
    """An image set: its training set cut at random in two, its own test set.

    Pixels are divided by 255, then standardized per channel by the training rows. Files that are
    there are read as they are or refused; nothing is written over them.

    Attributes:
        root: Folder of image sets.
        download: Fetch the files when they are not there.
        val_rows: Rows of the training set held out for validation.
        data_seed: Seed of the choice of validation rows.
        DATASET: Name of the class in `torchvision.datasets` that knows addresses and checksums.
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
        self._fetch_missing()
        known, test = self._stored(train=True), self._stored(train=False)
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
        return Data(*standardize_splits(*splits, dims=(0, 2, 3)), num_classes=NUM_CLASSES)

    @property
    @abstractmethod
    def _paths(self) -> Sequence[Path]:
        """Every file that is read."""

    @abstractmethod
    def _stored(self, *, train: bool) -> Split:
        """Return pixels as they are stored, uint8, and labels."""

    @abstractmethod
    def _fetch(self, source: Any) -> None:
        """Download and unpack, from the addresses that a class of torchvision has."""

    def _fetch_missing(self) -> None:
        if not self._missing():
            return
        if not self.download:
            raise self._absent("task.download is false")
        from torchvision import datasets  # takes a second; not needed for files that are there

        try:
            with alone(Path(self.root) / f".{self.DATASET}.lock"):
                if self._missing():
                    self._fetch(getattr(datasets, self.DATASET))
        except FAILURES as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise self._absent(f"could not be downloaded ({reason})") from None

    def _missing(self) -> list[str]:
        return [path.name for path in self._paths if not os.path.lexists(path)]

    def _absent(self, reason: str) -> ConfigError:
        return ConfigError(
            f"files of {self.DATASET} are missing in {Path(self.root).absolute()} "
            f"({', '.join(self._missing())}) and {reason}: put {self.FILES} there, or set "
            "task.root to the folder that holds them"
        )

    def _checked(self, path: Path, read: Callable[[bytes], T]) -> T:
        """Return what a file holds.

        Raises:
            ConfigError: Naming the file, what is wrong with it and what to do.
        """
        try:
            return read(content_of(path))
        except DamagedFileError as error:
            remedy = "delete it, then task.download=true fetches it anew"
            reason = f"{path.absolute()} is damaged: {error}; {remedy}"
        except OSError as error:
            remedy = "make it readable"
            reason = f"cannot read {path.absolute()}: {error.strerror or error}; {remedy}"
        raise ConfigError(f"{reason}, or set task.root to a folder with a whole {self.DATASET}")


class IdxClasses(ImageClasses):
    """An image set in the four files of MNIST."""

    FORMAT = "idx"

    @property
    def _paths(self) -> Sequence[Path]:
        kinds = ("images-idx3-ubyte", "labels-idx1-ubyte")
        folder = Path(self.root) / self.DATASET / "raw"
        return [folder / f"{part}-{kind}" for part in ("train", "t10k") for kind in kinds]

    def _stored(self, *, train: bool) -> Split:
        images, labels = self._paths[:2] if train else self._paths[2:]
        x = self._checked(images, idx_images)
        return _split(x[:, None], self._checked(labels, lambda c: _as_many(idx_labels(c), x)))

    def _fetch(self, source: Any) -> None:
        for (name, md5), path in zip(source.resources, self._paths, strict=True):
            if not path.exists():
                fetch_file([f"{mirror}{name}" for mirror in source.mirrors], path.parent, md5)
                write_atomic(path, gzip.decompress((path.parent / name).read_bytes()))


@tasks.register("mnist")
@dataclass(frozen=True)
class Mnist(IdxClasses):
    """Handwritten digits, 28 x 28, 60,000 and 10,000 rows (LeCun, Cortes and Burges, 1998)."""

    DATASET = "MNIST"
    FILES = (
        "MNIST/raw/train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
        "t10k-labels-idx1-ubyte (or these as .gz, which task.download=true unpacks)"
    )


@tasks.register("fashion_mnist")
@dataclass(frozen=True)
class FashionMnist(IdxClasses):
    """Articles of clothing in the format of MNIST (Xiao, Rasul and Vollgraf, 2017)."""

    DATASET = "FashionMNIST"
    FILES = "Fashion" + Mnist.FILES


@tasks.register("cifar10")
@dataclass(frozen=True)
class Cifar10(ImageClasses):
    """Photographs of ten things, 3 x 32 x 32, 50,000 and 10,000 rows (Krizhevsky, 2009).

    The files are Python pickles, which can run code: see `optlab.tasks.image_files` for how they
    are kept from it.
    """

    val_rows: Count = 5_000

    DATASET = "CIFAR10"
    FORMAT = "cifar"
    FILES = (
        "cifar-10-batches-py/data_batch_1 to data_batch_5 and test_batch (or "
        "cifar-10-python.tar.gz, which task.download=true unpacks)"
    )

    @property
    def _paths(self) -> Sequence[Path]:
        names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
        return [Path(self.root) / "cifar-10-batches-py" / name for name in names]

    def _stored(self, *, train: bool) -> Split:
        from torchvision.datasets import CIFAR10

        sums = dict(CIFAR10.train_list + CIFAR10.test_list)
        paths = self._paths[:-1] if train else self._paths[-1:]
        parts = [self._checked(p, partial(cifar_batch, md5=sums[p.name])) for p in paths]
        x, y = (np.concatenate(kind) for kind in zip(*parts, strict=True))
        return _split(x, y)

    def _fetch(self, source: Any) -> None:
        fetch_file([source.url], Path(self.root), source.tgz_md5)
        with tarfile.open(Path(self.root) / source.filename) as archive:
            for path in self._paths:
                member = archive.extractfile(f"{path.parent.name}/{path.name}")
                write_atomic(path, member.read() if member else b"")


def _split(x: Bytes, y: Bytes) -> Split:
    return Split(torch.tensor(x), torch.tensor(y, dtype=torch.int64))


def _as_many(labels: Bytes, images: Bytes) -> Bytes:
    if len(labels) != len(images):
        raise DamagedFileError(f"it holds {len(labels)} labels for {len(images)} images")
    return labels


def _unit_range(split: Split) -> Split:
    return Split(
        split.x.to(torch.float32, memory_format=torch.contiguous_format).div_(255), split.y
    )
