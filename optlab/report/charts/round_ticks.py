"""Round values between two ends, for axes that whoever draws has no ticks for."""

import math

import numpy as np

MOST = 6
STEPS = (1, 2, 5)
ONE, TWO = 0.8, 2.2  # decades
SMALL, LARGE = 0.9e-3, 1e5
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

Ticks = tuple[tuple[float, str], ...]


def round_ticks(low: float, high: float) -> Ticks:
    """Return multiples of 1, 2 or 5 times a power of ten, and their texts."""
    rough = (high - low) / MOST
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (*STEPS, 10) if s * power >= rough)
    values = step * np.arange(math.ceil(low / step), math.floor(high / step) + 1)
    return tuple((float(value), f"{value:.6g}") for value in values)


def round_log_ticks(low: float, high: float) -> Ticks:
    """Return round values between two decimal logarithms, as their logarithms, and their texts.

    Those of 1, 2, 5, 10 over two decades, powers of ten over more, and multiples within one.
    """
    if high - low < ONE:
        return tuple((math.log10(at), text) for at, text in round_ticks(10**low, 10**high))
    if high - low < TWO:
        around = range(math.floor(low), math.ceil(high) + 1)
        values = [step * 10.0**at for at in around for step in STEPS]
    else:
        inside = range(math.ceil(low), math.floor(high) + 1)
        values = [10.0**at for at in inside[:: math.ceil(len(inside) / MOST)]]
    ticks = tuple((math.log10(value), _text(value)) for value in values)
    return tuple(tick for tick in ticks if low <= tick[0] <= high)


def _text(value: float) -> str:
    """Return a number as it is, a very small or large one as a power of ten."""
    if SMALL <= value < LARGE:
        return f"{value:g}"
    digit, _, power = f"{value:.0e}".partition("e")
    times = "" if digit == "1" else f"{digit}·"
    return f"{times}10{str(int(power)).translate(RAISED)}"
