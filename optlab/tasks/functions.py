"""Test functions: an optimizer walks in the plane, and the map is known (GRD-12, GRD-13, OPT-06).

Shapes: points (N, D) -> values (N,).
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optlab import seeding
from optlab.registry import tasks
from optlab.tasks.base import CheckedTask, Data, Split
from optlab.types import Count, Natural, NonNegative, Positive, Real

Points = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Surface(CheckedTask):
    """A function to minimize; the model is a point, and a row of data is noise on its gradient.

    A row y adds ``y . p`` to the loss at p, hence y to the gradient. The noise is centered: the
    gradient over all rows is the function's own. Validation and test hold one row without noise.

    Attributes:
        noise: Standard deviation of the gradient noise of a row, per coordinate. With 0 there is
            one row, and every epoch is one exact step.
        rows: Rows of gradient noise; not used when ``noise`` is 0.
        data_seed: Seed of the noise.
        MINIMA: Every global minimum, (M, D).
    """

    noise: NonNegative = 0.0
    rows: Count = 1000
    data_seed: Natural = 0

    MINIMA: ClassVar[Points]
    default_loss: ClassVar[str] = "objective"

    @abstractmethod
    def objective(self, p: Tensor) -> Tensor:
        """Return the function's values at ``p``: (N, D) -> (N,), pure and differentiable."""

    def load(self) -> Data:
        """Draw the noise; the inputs are zeros, since a point has none."""
        dims = len(self.MINIMA[0])
        still = Split(torch.zeros(1, 1), torch.zeros(1, dims))
        return Data(
            self._noisy_rows(dims) if self.noise else still,
            still,
            still,
            num_outputs=dims,
            objective=self.objective,
            minima=torch.tensor(self.MINIMA, dtype=torch.float64),
        )

    def _noisy_rows(self, dims: int) -> Split:
        draws = torch.randn(
            self.rows,
            dims,
            generator=seeding.generator(self.data_seed, "data"),
            dtype=torch.float64,
        )
        noise = self.noise * (draws - draws.mean(dim=0))
        return Split(torch.zeros(self.rows, 1), noise.to(torch.float32))


@tasks.register("quadratic")
@dataclass(frozen=True)
class Quadratic(Surface):
    """QUAD: ``(x^2 + k y^2) / 2``, curvatures 1 and k along the axes.

    Attributes:
        condition: k, the ratio of the curvatures.
    """

    condition: Positive = 100.0

    MINIMA = ((0.0, 0.0),)

    def objective(self, p: Tensor) -> Tensor:
        """Return ``(x^2 + k y^2) / 2``."""
        x, y = p.unbind(-1)
        return 0.5 * (x * x + self.condition * y * y)


@tasks.register("rotated_quadratic")
@dataclass(frozen=True)
class RotatedQuadratic(Quadratic):
    """QUAD turned: methods with a rate per coordinate lose the axes that flatter them.

    Attributes:
        angle_deg: Angle of the flat direction against the x axis, in degrees.
    """

    angle_deg: Real = 30.0

    def objective(self, p: Tensor) -> Tensor:
        """Return ``(u^2 + k v^2) / 2`` with (u, v) the point turned by minus the angle."""
        x, y = p.unbind(-1)
        angle = math.radians(self.angle_deg)
        u = math.cos(angle) * x + math.sin(angle) * y
        v = math.cos(angle) * y - math.sin(angle) * x
        return 0.5 * (u * u + self.condition * v * v)


@tasks.register("well")
@dataclass(frozen=True)
class Well(Surface):
    """WELL, in one dimension: ``x^4 / 4 - x^2 / 2 + 0.15 x``, a shallow and a deep valley.

    Its slope ``x^3 - x + 0.15`` is zero at the local minimum 0.914, at the ridge 0.153 and at the
    global minimum -1.068, by Viete's trigonometric solution of the cubic.
    """

    TILT: ClassVar[float] = 0.15
    THIRD: ClassVar[float] = math.acos(-1.5 * math.sqrt(3) * TILT) / 3
    LOCAL_MINIMUM: ClassVar[float] = 2 / math.sqrt(3) * math.cos(THIRD)
    MINIMA = ((2 / math.sqrt(3) * math.cos(THIRD + 2 * math.pi / 3),),)

    def objective(self, p: Tensor) -> Tensor:
        """Return ``x^4 / 4 - x^2 / 2 + 0.15 x``."""
        x = p[..., 0]
        square = x * x
        return square * (0.25 * square - 0.5) + self.TILT * x


@tasks.register("saddle")
@dataclass(frozen=True)
class Saddle(Surface):
    """SADDLE: ``x^2 - y^2 + y^4 / 4``, with zero gradient at (0, 0) between two minima of -1."""

    MINIMA = ((0.0, math.sqrt(2)), (0.0, -math.sqrt(2)))

    def objective(self, p: Tensor) -> Tensor:
        """Return ``x^2 - y^2 + y^4 / 4``."""
        x, y = p.unbind(-1)
        square = y * y
        return x * x + square * (0.25 * square - 1.0)


@tasks.register("rosenbrock")
@dataclass(frozen=True)
class Rosenbrock(Surface):
    """``(1 - x)^2 + b (y - x^2)^2``: a flat, bent valley (Rosenbrock, 1960).

    Attributes:
        b: Steepness of the valley's walls.
    """

    b: Positive = 100.0

    MINIMA = ((1.0, 1.0),)

    def objective(self, p: Tensor) -> Tensor:
        """Return ``(1 - x)^2 + b (y - x^2)^2``."""
        x, y = p.unbind(-1)
        return (1 - x) ** 2 + self.b * (y - x * x) ** 2


@tasks.register("rastrigin")
@dataclass(frozen=True)
class Rastrigin(Surface):
    """``20 + x^2 + y^2 - 10 cos(2 pi x) - 10 cos(2 pi y)``: a valley at about every integer.

    Source: Rastrigin (1974).
    """

    MINIMA = ((0.0, 0.0),)

    def objective(self, p: Tensor) -> Tensor:
        """Return the sum over coordinates of ``10 + x^2 - 10 cos(2 pi x)``."""
        return (10 + p * p - 10 * torch.cos(2 * math.pi * p)).sum(-1)


@tasks.register("beale")
@dataclass(frozen=True)
class Beale(Surface):
    """``sum over i of (c_i - x (1 - y^i))^2``, c = 1.5, 2.25, 2.625 (Beale, 1958): long plains."""

    MINIMA = ((3.0, 0.5),)

    def objective(self, p: Tensor) -> Tensor:
        """Return the sum of the three squares."""
        x, y = p.unbind(-1)
        first, second, third = 1.5 - x * (1 - y), 2.25 - x * (1 - y**2), 2.625 - x * (1 - y**3)
        return first**2 + second**2 + third**2


@tasks.register("himmelblau")
@dataclass(frozen=True)
class Himmelblau(Surface):
    """``(x^2 + y - 11)^2 + (x + y^2 - 7)^2``: four minima of 0 (Himmelblau, 1972)."""

    MINIMA = (
        (3.0, 2.0),
        (-2.805118086952745, 3.131312518250573),
        (-3.779310253377747, -3.283185991286170),
        (3.584428340330492, -1.848126526964404),
    )

    def objective(self, p: Tensor) -> Tensor:
        """Return ``(x^2 + y - 11)^2 + (x + y^2 - 7)^2``."""
        x, y = p.unbind(-1)
        return (x * x + y - 11) ** 2 + (x + y * y - 7) ** 2
