"""Handwritten digits, 8 x 8 pixels, from the file inside scikit-learn: no network (CNN-04, LOS-16).

Source: Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI repository; the
1797 rows that scikit-learn ships as ``load_digits``.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from optlab import seeding
from optlab.config import ConfigError
from optlab.registry import tasks
from optlab.tasks.base import CheckedTask, Data, Split
from optlab.tasks.splits import stratified_order, three_splits
from optlab.tasks.standardize import standardize_splits
from optlab.types import Count, Fraction, Natural

NUM_CLASSES = 10


@tasks.register("digits")
@dataclass(frozen=True)
class Digits(CheckedTask):
    """1797 rows of 64 pixels, 10 classes, split 60/20/20 with the classes in proportion.

    With 300 training rows and a fifth of their labels randomized (``task=digits_noisy``) it is the
    bed of every overfitting claim (course notes, rows REG-05 and REG-12). The labels before the
    noise are those of the same options with ``label_noise=0``.

    Attributes:
        standardize: Scale pixels by the training rows' mean and deviation; else 0 to 16.
        train_rows: Training rows to keep, in proportion by class; None keeps all 1078.
        label_noise: Share of the training labels drawn anew, uniformly from all classes.
        sort_by_class: Lay the training rows class after class, for a sampler that does not
            shuffle (OPT-08).
        data_seed: Seed of the split and of the label noise.
    """

    standardize: bool = True
    train_rows: Count | None = None
    label_noise: Fraction = 0.0
    sort_by_class: bool = False
    data_seed: Natural = 0

    default_loss: ClassVar[str] = "sparse_cce"

    def load(self) -> Data:
        """Read the file, split it, and apply the options in the order of the fields."""
        x, y = read_digits()
        order = stratified_order(y, seeding.generator(self.data_seed, "data", "split"))
        train, val, test = three_splits(x, y, order)
        train = self._kept(train)
        if self.standardize:
            train, val, test = standardize_splits(train, val, test)
        noise = seeding.generator(self.data_seed, "data", "labels")
        labels, drawn = randomize_labels(train.y, self.label_noise, NUM_CLASSES, noise)
        notes = {
            "labels_randomized": float(drawn),
            "labels_flipped": float((labels != train.y).sum()),
        }
        train = Split(train.x, labels)
        if self.sort_by_class:
            by_class = train.y.argsort(stable=True)
            train = Split(train.x[by_class], train.y[by_class])
        return Data(train, val, test, num_classes=NUM_CLASSES, notes=notes)

    def _kept(self, train: Split) -> Split:
        if self.train_rows is not None and self.train_rows > len(train):
            raise ConfigError(
                f"train_rows must be at most {len(train)}, the rows of the training split, "
                f"got {self.train_rows} (task.train_rows)"
            )
        return Split(train.x[: self.train_rows], train.y[: self.train_rows])


def read_digits() -> tuple[Tensor, Tensor]:
    """Return all rows: pixels 0 to 16 of shape (1797, 64), float32, and labels (1797,), int64.

    The file is read without importing scikit-learn, which would take a hundred times longer.
    """
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise ConfigError("task digits reads a file of scikit-learn: pip install scikit-learn")
    path = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    table = torch.from_numpy(np.loadtxt(path, delimiter=",", dtype=np.float32))
    return table[:, :-1].contiguous(), table[:, -1].to(torch.int64)


def randomize_labels(
    labels: Tensor, share: float, num_classes: int, draws: torch.Generator
) -> tuple[Tensor, int]:
    """Return ``labels`` with a share of them drawn anew, and how many were drawn.

    A label drawn anew may come out as it was: about one in ``num_classes`` does.
    """
    count = round(share * len(labels))
    rows = torch.randperm(len(labels), generator=draws)[:count]
    noisy = labels.clone()
    noisy[rows] = torch.randint(num_classes, (count,), generator=draws)
    return noisy, count
