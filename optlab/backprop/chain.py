"""Why gradients vanish and explode: the factors of the chain rule (rows GRD-02, GRD-06, E26)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


def sigmoid_slope(z: Tensor) -> Tensor:
    """Return sigmoid'(z) = sigmoid(z) (1 - sigmoid(z)), in [0, 0.25]; 0.25 at z = 0."""
    a = torch.sigmoid(z)
    return a * (1 - a)


@dataclass(frozen=True)
class UnitChain:
    """Layers of one sigmoid unit each: O_k1 = sigmoid(z_k), z_k = w_k O_(k-1)1 + b_k.

    The derivative by the first weight is a product with one factor for each later layer::

        dO31/dw_11 = dO31/dO21 * dO21/dO11 * dO11/dw_11
        dOk1/dO(k-1)1 = sigmoid'(z_k) * w_k

    With sigmoid' <= 0.25 a factor is below 1 unless |w_k| > 4: the gradient vanishes with depth.
    A large weight makes it explode: 0.25 * 500 = 125 for each layer (the notes' scan reads
    "0.25 = 1125", row E26).

    Attributes:
        weights: w_1, w_2, ..., each of shape ().
        biases: b_1, b_2, ..., each of shape ().
    """

    weights: Sequence[Tensor]
    biases: Sequence[Tensor]

    @classmethod
    def balanced(cls, weight: float, depth: int, x: Tensor) -> "UnitChain":
        """Return a chain of equal weights with z = 0 in every unit for input ``x``.

        There sigmoid' is at its largest and every output is 0.5.
        """
        w = torch.full_like(x, weight)
        inputs = [x, *[torch.full_like(x, 0.5)] * (depth - 1)]
        return cls([w] * depth, [-w * entering for entering in inputs])

    def sums(self, x: Tensor) -> list[Tensor]:
        """Return z_1, z_2, ... for an input of shape ()."""
        z, output = [], x
        for w, b in zip(self.weights, self.biases, strict=True):
            z.append(w * output + b)
            output = torch.sigmoid(z[-1])
        return z

    def factors(self, x: Tensor) -> list[Tensor]:
        """Return dOL1/dO(L-1)1, ..., dO21/dO11 and last dO11/dw_11, whose product is dOL1/dw_11."""
        z = self.sums(x)
        later = [sigmoid_slope(z[k]) * self.weights[k] for k in range(len(z) - 1, 0, -1)]
        return [*later, sigmoid_slope(z[0]) * x]

    def gradient(self, x: Tensor, y: Tensor) -> Tensor:
        """Return dL/dw_11 of L = (y - OL1)^2: dL/dOL1 times every factor."""
        product = -2 * (y - torch.sigmoid(self.sums(x)[-1]))
        for factor in self.factors(x):
            product = product * factor
        return product
