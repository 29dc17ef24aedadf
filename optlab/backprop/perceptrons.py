"""Perceptrons set by hand, and a network of them for what no single one can do (row PER-09)."""

from typing import NamedTuple

import torch
from torch import Tensor

from optlab.backprop.training import Parameters


class Gate(NamedTuple):
    """A perceptron step(w1 x1 + w2 x2 + b)."""

    w1: float
    w2: float
    b: float


OR = Gate(1.0, 1.0, -0.5)
NAND = Gate(-1.0, -1.0, 1.5)
AND = Gate(1.0, 1.0, -1.5)


def step(z: Tensor) -> Tensor:
    """Return 1 where z >= 0, else 0: the unit of a perceptron, to `propagate` with."""
    return (z >= 0).to(z.dtype)


def xor_by_hand() -> Parameters:
    """Return a 2-2-1 network of steps that computes x1 XOR x2 = (x1 OR x2) AND (x1 NAND x2).

    A line separates (0, 1) and (1, 0) from neither (0, 0) nor (1, 1) alone, but not from both:
    two lines do, and the output unit combines their sides.
    """
    return {
        "W1": torch.tensor([[OR.w1, NAND.w1], [OR.w2, NAND.w2]]),
        "b1": torch.tensor([OR.b, NAND.b]),
        "W2": torch.tensor([[AND.w1], [AND.w2]]),
        "b2": torch.tensor([AND.b]),
    }
