"""How much a result hangs on one hyperparameter, such as the learning rate: all on a log axis.

Losses: the lowest is best, infinite ones diverged; pass the negative of an accuracy where no
initial loss is asked for. Rates R, each once, in any order.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Window:
    """The rates around the best one that are good enough.

    Attributes:
        low, high: Its ends; nan where no rate is good enough.
        is_cut_low, is_cut_high: Whether it ends there only as no lower, or higher, rate was tried.
    """

    low: float
    high: float
    is_cut_low: bool
    is_cut_high: bool

    @property
    def decades(self) -> float:
        """Its width in powers of ten: at least that, where it is cut."""
        return math.log10(self.high / self.low)


def good_window(rates: Array, losses: Array, good: float) -> Window:
    """Return the unbroken window of good rates around the best rate.

    Between the last good rate and the next one the end is interpolated, linear in the logarithm of
    the rate; where the next one diverged, the window ends with the last good rate.

    Args:
        rates: Above 0, (R).
        losses: Of each rate, (R).
        good: Highest loss that is good enough, such as 1.05 times the best.
    """
    rates, losses = _ordered(rates, losses)
    best = int(losses.argmin())
    if not losses[best] <= good:
        return Window(math.nan, math.nan, False, False)
    low, is_cut_low = _end(rates[best::-1], losses[best::-1], good)
    high, is_cut_high = _end(rates[best:], losses[best:], good)
    return Window(low, high, is_cut_low, is_cut_high)


def lr_sensitivity(rates: Array, losses: Array, initial: float) -> float:
    """Return the mean excess of min(loss, initial loss) over the best loss of the window tried.

    The mean is over the logarithm of the rate, of the line through the points (trapezoids), so a
    grid need not be even; nan for fewer than two rates. 0 is a loss that no rate changes.

    Args:
        rates: Above 0, (R).
        losses: Of each rate, (R); infinite and nan ones count as the initial loss.
        initial: Loss before training.

    Source: Wortsman et al. (2023), section 2.2.
    """
    rates, losses = _ordered(rates, np.where(np.isnan(losses), np.inf, losses))
    if len(rates) < 2:
        return math.nan
    clipped = np.minimum(losses, initial)
    places = np.log(rates)
    excess = clipped - clipped.min()
    area = ((excess[1:] + excess[:-1]) / 2 * np.diff(places)).sum()
    return float(area / (places[-1] - places[0]))


def edge(rates: Array, losses: Array, outer: int = 1) -> Literal["", "low", "high"]:
    """Return the edge of the grid that the best rate sits on: ``""`` where it is inside.

    Inside it is also where a rate inside is as good, where every rate is infinite, and where only
    one was tried, which is no grid.

    Args:
        rates: Above 0, (R).
        losses: Of each rate, (R).
        outer: Number of rates at either end that are the edge.
    """
    rates, losses = _ordered(rates, losses)
    if len(rates) < 2 or not math.isfinite(losses.min()):
        return ""
    (places,) = np.nonzero(losses == losses.min())
    if any(outer <= place < len(rates) - outer for place in places):
        return ""
    return "low" if places[0] < outer else "high"


def _ordered(rates: Array, losses: Array) -> tuple[Array, Array]:
    """Return both in the order of the rates, checked."""
    if rates.shape != losses.shape or rates.ndim != 1 or not len(rates):
        raise ValueError(f"one loss for each rate, got shapes {losses.shape} and {rates.shape}")
    if not (rates > 0).all() or len(np.unique(rates)) < len(rates):
        raise ValueError(f"rates must be above 0 and each once, got {rates}")
    order = np.argsort(rates)
    return rates[order], losses[order]


def _end(rates: Array, losses: Array, good: float) -> tuple[float, bool]:
    """Return where losses leave what is good, going on from the best, and whether the grid ends."""
    bad = np.flatnonzero(~(losses <= good))
    if not len(bad):
        return float(rates[-1]), True
    out = int(bad[0])
    inside, outside = losses[out - 1], losses[out]
    if not math.isfinite(outside):
        return float(rates[out - 1]), False
    share = (good - inside) / (outside - inside)
    return float(rates[out - 1] * (rates[out] / rates[out - 1]) ** share), False
