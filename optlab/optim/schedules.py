"""Learning-rate schedules: pure functions from the number of an update to a multiplier of lr.

All share one clock: W = ``warmup * num_updates`` updates of linear warm-up, during which update u
(counted from 0) has the factor (u + 1) / W, then a decay whose progress p = (u - W) / (N - W) runs
from 0 towards 1 and would reach it one update after the last of N. So no update is lost on a factor
of exactly zero; this is the count of torch's `CosineAnnealingLR` with ``T_max=N``.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from optlab.config import validate
from optlab.registry import schedules
from optlab.types import Fraction, Positive, Range

Share = Annotated[float, Range(low=0.0, high=1.0, open_low=True)]


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
        progress = _at_most_one(_at_least_zero(done - length) / _at_least_one(total - length))
        return self.rise_at(done, length) * self.decay_at(progress)

    def rise_at(self, done: Any, length: Any) -> Any:
        """Return the multiplier of the update after ``done`` in a warm-up of ``length``; then 1."""
        return _at_most_one((done + 1) / _at_least_one(length))

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


@schedules.register("polynomial")
@dataclass(frozen=True)
class Polynomial(Schedule):
    """A power of what is left of the training, from 1 down to ``final``.

    Equal to torch's `PolynomialLR` with ``total_iters=N`` where ``final`` is 0.

    Attributes:
        final: Multiplier that the curve runs towards.
        power: Exponent: 1 is a straight line; above 1 the fall is steep first, below 1 last.
    """

    final: Fraction = 0.0
    power: Positive = 2.0

    def decay_at(self, progress: Any) -> Any:  # noqa: D102
        return self.final + (1 - self.final) * (1 - progress) ** self.power


@schedules.register("exponential")
@dataclass(frozen=True)
class Exponential(Schedule):
    """The same factor at every update, from 1 down to ``final``.

    Equal to torch's `ExponentialLR` with ``gamma = final ** (1 / N)``.

    Attributes:
        final: Multiplier that the curve runs towards.
    """

    final: Share = 0.01

    def decay_at(self, progress: Any) -> Any:  # noqa: D102
        return self.final**progress


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
        return self.final + (1 - self.final) * _half_wave(progress)


@schedules.register("step")
@dataclass(frozen=True)
class Step(Schedule):
    """A staircase: times ``decay`` after every share ``every`` of the updates.

    Attributes:
        decay: Multiplier at each drop.
        every: Share of the updates between drops.
    """

    decay: Fraction = 0.1
    every: Share = 0.3

    def decay_at(self, progress: Any) -> Any:  # noqa: D102
        # 0.3 / 0.1 is 2.9999999999999996: without the margin a drop would come an update late.
        drops = progress / self.every + 1e-9
        return self.decay ** (torch.floor(drops) if isinstance(drops, Tensor) else int(drops))


@schedules.register("wsd")
@dataclass(frozen=True)
class WSD(Schedule):
    """Warm-up, then a long stay at 1, then a fall to ``final`` at the end of the training.

    Source: Hu et al. (2024), MiniCPM; Haegele et al. (2024), Scaling Laws and Compute-Optimal
    Training Beyond Fixed Training Durations, for the forms of the fall (``sqrt``: 1 - sqrt(x)).

    Attributes:
        warmup: Share of the updates over which the multiplier first rises linearly to 1.
        cooldown: Share of the updates after the warm-up over which it falls.
        final: Multiplier that the fall runs towards.
        shape: Form of the fall.
    """

    warmup: Fraction = 0.05
    cooldown: Share = 0.2
    final: Fraction = 0.0
    shape: Literal["linear", "sqrt", "cosine"] = "linear"

    def decay_at(self, progress: Any) -> Any:  # noqa: D102
        x = _at_most_one(_at_least_zero(progress - (1 - self.cooldown)) / self.cooldown)
        left = {
            "linear": lambda: 1 - x,
            "sqrt": lambda: 1 - x**0.5,
            "cosine": lambda: _half_wave(x),
        }
        return self.final + (1 - self.final) * left[self.shape]()


@schedules.register("one_cycle")
@dataclass(frozen=True)
class OneCycle(Schedule):
    """A rise from ``initial`` to 1 and a fall to almost nothing, in one cycle.

    The warm-up is the rise. It starts at ``initial``, not at zero, and reaches 1 where the fall
    begins: update u of it is at the share u / W of the way.

    Source: Smith and Topin (2018), Super-Convergence, in the two phases and with the defaults of
    torch's `OneCycleLR`, which does not wait for the last update: it has ``final`` there, and is
    this schedule with ``total_steps=N + 1`` and ``pct_start=(W + 1) / (N + 1)``. Its cycle of the
    momentum is not part of it.

    Attributes:
        warmup: Share of the updates that rise.
        initial: Multiplier at the first update; torch's ``1 / div_factor``.
        final: Multiplier that the fall runs towards; torch's
            ``1 / (div_factor * final_div_factor)``.
        shape: Form of the rise and of the fall.
    """

    warmup: Fraction = 0.3
    initial: Share = 0.04
    final: Fraction = 4e-6
    shape: Literal["cosine", "linear"] = "cosine"

    def rise_at(self, done: Any, length: Any) -> Any:  # noqa: D102
        # A rise that is shorter than an update is none.
        share = _at_most_one(done / _at_least_one(length) + (length < 1))
        return 1 - (1 - self.initial) * self._left(share)

    def decay_at(self, progress: Any) -> Any:  # noqa: D102
        return self.final + (1 - self.final) * self._left(progress)

    def _left(self, share: Any) -> Any:
        """Return how much of a way is left, from 1 to 0."""
        return 1 - share if self.shape == "linear" else _half_wave(share)


def _half_wave(progress: Any) -> Any:
    """Return half a cosine wave from 1 to 0 over progress in [0, 1]."""
    angle = math.pi * progress
    return (1 + (torch.cos(angle) if isinstance(angle, Tensor) else math.cos(angle))) / 2


def _as_float64(count: int | Tensor) -> Any:
    return count.double() if isinstance(count, Tensor) else float(count)


def _at_most_one(value: Any) -> Any:
    return value.clamp(max=1.0) if isinstance(value, Tensor) else min(value, 1.0)


def _at_least_one(value: Any) -> Any:
    return value.clamp(min=1.0) if isinstance(value, Tensor) else max(value, 1.0)


def _at_least_zero(value: Any) -> Any:
    return value.clamp(min=0.0) if isinstance(value, Tensor) else max(value, 0.0)
