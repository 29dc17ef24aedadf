"""The perceptron: the notes' two update rules, the geometry of its line, and the model.

Shapes: rows N, features F.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from optlab import seeding
from optlab.config import ConfigError
from optlab.models.context import ModelContext
from optlab.models.linear import LinearModel
from optlab.registry import models


class Line(NamedTuple):
    """The line a x + b y + c = 0 in the plane (course notes, row PER-04).

    Changing a keeps the y-intercept, changing b the x-intercept, changing c the slope.
    """

    a: float
    b: float
    c: float

    @property
    def slope(self) -> float:
        """Rise of y per unit of x; b must not be 0 (a vertical line)."""
        return -self.a / self.b

    @property
    def x_intercept(self) -> float:
        """Where the line crosses y = 0; a must not be 0."""
        return -self.c / self.a

    @property
    def y_intercept(self) -> float:
        """Where the line crosses x = 0; b must not be 0."""
        return -self.c / self.b

    def at(self, x: float, y: float) -> float:
        """Return a x + b y + c: positive, negative or 0 by the side on which (x, y) lies."""
        return self.a * x + self.b * y + self.c

    def moved(self, x: float, y: float, rate: float) -> "Line":
        """Return the line plus ``rate`` times (x, y, 1) (course notes, row PER-05).

        A positive rate moves (x, y) towards the positive side, a negative one towards the other.
        """
        return Line(self.a + rate * x, self.b + rate * y, self.c + rate)


class Perceptron:
    """A unit step(w0 + w1 x1 + ... + wF xF) with labels 0 and 1 (rows PER-01 to PER-08).

    The bias w0 is the weight of an extra coordinate x0 = 1. Weights start at 0 and a fit goes on
    from where the last one ended. Float64 rows are computed with in float64, and make the weights
    float64. Source: Rosenblatt, 1958.

    Args:
        num_inputs: F.

    Attributes:
        weight: (w0, w1, ..., wF), shape (1 + F,).
    """

    def __init__(self, num_inputs: int) -> None:
        self.weight = torch.zeros(1 + num_inputs)

    def score(self, x: Tensor) -> Tensor:
        """Return z for rows (N, F), shape (N,)."""
        rows = _with_ones(x, self.weight.dtype)
        return rows @ self.weight.to(rows.dtype)

    def predict(self, x: Tensor) -> Tensor:
        """Return step(z), with step(0) = 1, shape (N,), int64."""
        return (self.score(x) >= 0).long()

    def fit_two_branch(
        self, x: Tensor, y: Tensor, lr: float = 0.01, num_updates: int = 1000, seed: int = 0
    ) -> "Perceptron":
        """Draw random rows; subtract lr x if a 0 has z >= 0, add it if a 1 has z <= 0 (PER-06).

        Args:
            x: Rows, shape (N, F).
            y: Labels 0 or 1, shape (N,).
            lr: The notes' eta; it scales the weights and changes no decision.
            num_updates: Rows to draw, with replacement (the notes' "epochs").
            seed: Which rows; both fits draw the same ones for a seed.
        """
        return self._fit(two_branch_direction, x, y, lr, num_updates, seed)

    def fit_unified(
        self, x: Tensor, y: Tensor, lr: float = 0.01, num_updates: int = 1000, seed: int = 0
    ) -> "Perceptron":
        """Draw random rows; add lr (y - step(z)) x (PER-07). Arguments as `fit_two_branch`.

        Equal to that rule except for a 1 exactly on the line, which counts as right here.
        """
        return self._fit(unified_direction, x, y, lr, num_updates, seed)

    def _fit(
        self,
        direction: Callable[[int, float], int],
        x: Tensor,
        y: Tensor,
        lr: float,
        num_updates: int,
        seed: int,
    ) -> "Perceptron":
        labels = y.tolist()
        if not set(labels) <= {0, 1}:
            raise ConfigError(f"a perceptron's labels are 0 and 1, got {sorted(set(labels))}")
        stream = seeding.generator(seed, "perceptron")
        rows = torch.randint(len(labels), (num_updates,), generator=stream).tolist()
        points = _with_ones(x, self.weight.dtype)
        self.weight = self.weight.to(points.dtype)
        for row in rows:
            z = float(points[row] @ self.weight)
            sign = direction(labels[row], z)
            if sign:
                self.weight += lr * sign * points[row]
        return self


def two_branch_direction(label: int, z: float) -> int:
    """Return -1, 0 or +1, the sign with which the two-branch rule adds a row.

    A row on the line (z = 0) is wrong for both labels. The notes print both conditions in both
    branches; they are kept apart here (course notes, row E20).
    """
    if label == 0:
        return -1 if z >= 0 else 0
    return 1 if z <= 0 else 0


def unified_direction(label: int, z: float) -> int:
    """Return y - step(z), with step(0) = 1: a 1 on the line is right (course notes, row E20)."""
    return label - (1 if z >= 0 else 0)


@models.register("perceptron")
def build_perceptron(context: ModelContext) -> LinearModel:
    """Build the perceptron of the runner: one linear unit.

    With ``loss=perceptron`` and one row per batch, a step of gradient descent is the two-branch
    rule.

    Raises:
        ConfigError: When the loss asks for several outputs.
    """
    context.refuse_sequences("perceptron")
    if context.num_outputs != 1:
        raise ConfigError(
            f"model=perceptron has one output, and the loss asks for {context.num_outputs}; "
            "choose a task with two classes and loss=perceptron, hinge or bce, or model=linear"
        )
    return LinearModel(context.num_inputs, 1)


def _with_ones(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Return rows after a 1, in the wider of their type and ``dtype``."""
    rows = x.to(torch.promote_types(x.dtype, dtype))
    return torch.cat([torch.ones_like(rows[:, :1]), rows], dim=1)
