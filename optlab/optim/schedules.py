"""Learning-rate schedules: pure functions from the number of an update to a multiplier of lr.

All share one clock: W = ``warmup * num_updates`` updates of linear warm-up, during which update u
(counted from 0) has the factor (u + 1) / W, then a decay whose progress p = (u - W) / (N - W) runs
from 0 towards 1 and would reach it one update after the last of N. So no update is lost on a factor
of exactly zero; this is the count of torch's `CosineAnnealingLR` with ``T_max=N``.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from optlab.config import validate
from optlab.registry import schedules
from optlab.types import Fraction, Range


@dataclass(frozen=True)
class Schedule(ABC):
    """A multiplier of the learning rate over a training of known length.

    Attributes:
        warmup: Share of the updates over which the multiplier first rises linearly to 1.
    """

    warmup: Fraction = 0.0

    def __post_init__(self) -> None:
        validate(self, "schedule")

    def factor(self, update: int | Tensor, num_updates: int | Tensor) -> Any:
        """Return the multiplier of an update.

        Args:
            update: Number of the update, from 0; an integer or an integer tensor of any shape.
            num_updates: Updates of the whole training.

        Returns:
            A float when both are numbers, otherwise a float64 tensor.
        """
        done, total = _as_float64(update), _as_float64(num_updates)
        length = self.warmup * total
        ramp = _at_most_one((done + 1) / _at_least_one(length))
        progress = _at_most_one(_at_least_zero(done - length) / _at_least_one(total - length))
        return ramp * self.decay_at(progress)

    @abstractmethod
    def decay_at(self, progress: Any) -> Any:
        """Return the multiplier at a share of the updates after the warm-up, in [0, 1]."""


@schedules.register("constant")
@dataclass(frozen=True)
class Constant(Schedule):
    """The learning rate as it is, after an optional warm-up."""

    def decay_at(self, progress: Any) -> Any:  # noqa: D102
        return 1.0


@schedules.register("linear")
@dataclass(frozen=True)
class Linear(Schedule):
    """A straight line from 1 down to ``final``.

    Attributes:
        final: Multiplier that the line runs towards.
    """

    final: Fraction = 0.0

    def decay_at(self, progress: Any) -> Any:  # noqa: D102
        return 1 + (self.final - 1) * progress


@schedules.register("cosine")
@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine wave from 1 down to ``final``.

    Source: Loshchilov and Hutter (2017), SGDR, equation 5, without restarts.

    Attributes:
        final: Multiplier that the wave runs towards.
    """

    final: Fraction = 0.0

    def decay_at(self, progress: Any) -> Any:  # noqa: D102
        angle = math.pi * progress
        wave = torch.cos(angle) if isinstance(angle, Tensor) else math.cos(angle)
        return self.final + (1 - self.final) * (1 + wave) / 2


@schedules.register("step")
@dataclass(frozen=True)
class Step(Schedule):
    """A staircase: times ``decay`` after every share ``every`` of the updates.

    Attributes:
        decay: Multiplier at each drop.
        every: Share of the updates between drops.
    """

    decay: Fraction = 0.1
    every: Annotated[float, Range(low=0.0, high=1.0, open_low=True)] = 0.3

    def decay_at(self, progress: Any) -> Any:  # noqa: D102
        # 0.3 / 0.1 is 2.9999999999999996: without the margin a drop would come an update late.
        drops = progress / self.every + 1e-9
        return self.decay ** (torch.floor(drops) if isinstance(drops, Tensor) else int(drops))


def _as_float64(count: int | Tensor) -> Any:
    return count.double() if isinstance(count, Tensor) else float(count)


def _at_most_one(value: Any) -> Any:
    return value.clamp(max=1.0) if isinstance(value, Tensor) else min(value, 1.0)


def _at_least_one(value: Any) -> Any:
    return value.clamp(min=1.0) if isinstance(value, Tensor) else max(value, 1.0)


def _at_least_zero(value: Any) -> Any:
    return value.clamp(min=0.0) if isinstance(value, Tensor) else max(value, 0.0)
