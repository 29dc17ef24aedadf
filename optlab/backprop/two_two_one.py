"""The course notes' network with nine parameters, and its nine derivatives (BPR-02, BPR-03)."""

from typing import NamedTuple

import torch
from torch import Tensor

from optlab import seeding
from optlab.backprop.training import Parameters, targets_like


class Activations(NamedTuple):
    """A row and what the network makes of it."""

    x1: Tensor
    x2: Tensor
    O11: Tensor
    O12: Tensor
    yhat: Tensor


class TwoTwoOne:
    """Two inputs, two sigmoid units, one linear output; loss (y - yhat)^2.

    ::

        O11 = sigmoid(w1_11 x1 + w1_21 x2 + b11)
        O12 = sigmoid(w1_12 x1 + w1_22 x2 + b12)
        yhat = w2_11 O11 + w2_21 O12 + b21

    In ``wk_ij`` the weight enters layer k, from node i to node j of layer k (row MLP-01); ``bkj``
    is the bias of node j of layer k. The loss depends on yhat alone, on weights and biases only
    through yhat; the row (x1, x2, y) is constant (row BPR-06).

    Everything is elementwise, on numbers of one common shape (...): one row is (), B rows are
    (B,) and give a gradient each, R networks in a stack are (R,) with a row each.

    The notes print w^2_12 for w^2_21 (row E21), and do not say what the hidden units are.
    """

    #: The names of all parameters, in the notes' order.
    NAMES = ("w1_11", "w1_12", "w1_21", "w1_22", "w2_11", "w2_21", "b11", "b12", "b21")

    def draw(self, seed: int, dtype: torch.dtype = torch.float64) -> Parameters:
        """Return first parameters: weights from N(0, 1), biases 0."""
        stream = seeding.generator(seed, "init", "two_two_one")
        weights = torch.randn(6, generator=stream, dtype=torch.float64).to(dtype)
        return dict(zip(self.NAMES, [*weights, *torch.zeros(3, dtype=dtype)], strict=True))

    def forward(self, params: Parameters, x: Tensor) -> Activations:
        """Return the activations of rows (..., 2)."""
        p = params
        x1, x2 = x.unbind(-1)
        O11 = torch.sigmoid(p["w1_11"] * x1 + p["w1_21"] * x2 + p["b11"])
        O12 = torch.sigmoid(p["w1_12"] * x1 + p["w1_22"] * x2 + p["b12"])
        yhat = p["w2_11"] * O11 + p["w2_21"] * O12 + p["b21"]
        return Activations(x1, x2, O11, O12, yhat)

    def loss(self, activations: Activations, y: Tensor) -> Tensor:
        """Return (y - yhat)^2 of each row.

        Raises:
            ConfigError: For targets of another shape than yhat.
        """
        return (targets_like(y, activations.yhat) - activations.yhat).square()

    def backward(self, params: Parameters, activations: Activations, y: Tensor) -> Parameters:
        """Return the nine derivatives of (y - yhat)^2.

        The chain rule, for an output weight and for a hidden one::

            dL/dw2_11 = dL/dyhat * dyhat/dw2_11
                      = -2 (y - yhat) * O11
            dL/dw1_11 = dL/dyhat * dyhat/dO11 * dO11/dz11 * dz11/dw1_11
                      = -2 (y - yhat) * w2_11 * O11 (1 - O11) * x1
        """
        x1, x2, O11, O12, yhat = activations
        y = targets_like(y, yhat)
        w2_11, w2_21 = params["w2_11"], params["w2_21"]
        return {
            "w1_11": -2 * (y - yhat) * w2_11 * O11 * (1 - O11) * x1,
            "w1_12": -2 * (y - yhat) * w2_21 * O12 * (1 - O12) * x1,
            "w1_21": -2 * (y - yhat) * w2_11 * O11 * (1 - O11) * x2,
            "w1_22": -2 * (y - yhat) * w2_21 * O12 * (1 - O12) * x2,
            "w2_11": -2 * (y - yhat) * O11,
            "w2_21": -2 * (y - yhat) * O12,
            "b11": -2 * (y - yhat) * w2_11 * O11 * (1 - O11),
            "b12": -2 * (y - yhat) * w2_21 * O12 * (1 - O12),
            "b21": -2 * (y - yhat),
        }
