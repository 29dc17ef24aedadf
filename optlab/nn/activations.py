"""Activation functions a = f(z), each with its derivative written by hand.

`forward` is made of primitive operations, so that autograd differentiates it, to any order and
under `torch.vmap`; `derivative` is the formula of the course notes, and tests hold the two equal,
at kinks too. At a kink (z = 0) the derivative is the one from the left: 0 for ReLU, the slope for
leaky and parametric ReLU. Minima with 0 are written ``x - relu(x)``, because the derivative of
`torch.clamp` at its bound has changed between versions of torch.
"""

# ruff: noqa: D102 - overrides carry no docstring; their contract stands on the base class

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from optlab.config import check_value
from optlab.registry import activations
from optlab.types import Fraction, Positive, Real


class Activation(nn.Module, ABC):
    """An activation: maps (..., H) to (..., H).

    Attributes:
        elementwise: Whether output i depends on input i only. If not, `derivative` returns the
            Jacobian instead of one slope per element.
    """

    elementwise: ClassVar[bool] = True

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), shaped like ``x``."""

    @abstractmethod
    def derivative(self, x: Tensor) -> Tensor:
        """Return f'(x) for every element, shaped like ``x``."""


@activations.register("step")
class Step(Activation):
    """1 where x >= 0, else 0; the derivative is 0 everywhere, so backpropagation cannot train it.

    Course notes, rows ACT-19 and E20 (the tie at 0 counts as 1).
    """

    def forward(self, x: Tensor) -> Tensor:
        return step(x)

    def derivative(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


@activations.register("identity")
class Identity(Activation):
    """The linear activation f(x) = x, the head of a regression (course notes, row ACT-20)."""

    def forward(self, x: Tensor) -> Tensor:
        return x

    def derivative(self, x: Tensor) -> Tensor:
        return torch.ones_like(x)


@activations.register("sigmoid")
class Sigmoid(Activation):
    """f = 1/(1 + e^-x), in (0, 1); f' = f (1 - f), at most 1/4 (course notes, row ACT-03)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x)

    def derivative(self, x: Tensor) -> Tensor:
        f = torch.sigmoid(x)
        return f * (1 - f)


@activations.register("tanh")
class Tanh(Activation):
    """f = (e^x - e^-x)/(e^x + e^-x), in (-1, 1); f' = 1 - f^2 (course notes, row ACT-07).

    The notes print (1 - f)/(1 + f) for f', which is e^(-2x) (row E1).
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x)

    def derivative(self, x: Tensor) -> Tensor:
        return 1 - torch.tanh(x).square()


@activations.register("relu")
class ReLU(Activation):
    """f = max(0, x); f' = 1 where x > 0, else 0, also at 0 (course notes, rows ACT-10, E37)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x)

    def derivative(self, x: Tensor) -> Tensor:
        return (x > 0).to(x.dtype)


@activations.register("leaky_relu")
class LeakyReLU(Activation):
    """f = x where x > 0, else slope x; f' = 1 or slope (course notes, rows ACT-13 and E3).

    Equals the notes' max(slope x, x) because the slope is at most 1.

    Args:
        slope: Derivative where x <= 0, in [0, 1].
    """

    def __init__(self, slope: Fraction = 0.01) -> None:
        super().__init__()
        self.slope = check_value(slope, Fraction, "activation.slope")

    def forward(self, x: Tensor) -> Tensor:
        positive = torch.relu(x)
        return torch.add(positive, x - positive, alpha=self.slope)

    def derivative(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, torch.ones_like(x), self.slope)

    def extra_repr(self) -> str:
        return f"slope={self.slope:g}"


@activations.register("prelu")
class PReLU(Activation):
    """LeakyReLU with a trained slope, one per layer: df/dslope = min(x, 0).

    The parameter is called ``weight`` and has shape (1,), as in `torch.nn.PReLU`. Like every
    vector it is left out of weight decay, which would pull it to ReLU (He et al., 2015,
    section 2.1). Course notes, row ACT-15.

    Args:
        slope: Where the slope starts.
    """

    def __init__(self, slope: Real = 0.25) -> None:
        super().__init__()
        self._start = float(check_value(slope, Real, "activation.slope"))
        self.weight = nn.Parameter(torch.full((1,), self._start))

    def forward(self, x: Tensor) -> Tensor:
        positive = torch.relu(x)
        return torch.addcmul(positive, x - positive, self.weight)

    def derivative(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, torch.ones_like(x), self.weight)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Convert or move; an untouched float32 slope becomes the float64 number asked for."""
        before = self.weight.detach()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        widened = before.dtype != self.weight.dtype == torch.float64
        if (
            widened
            and not before.is_meta
            and torch.equal(before, torch.full_like(before, self._start))
        ):
            self.weight.data.fill_(self._start)
        return self


@activations.register("elu")
class ELU(Activation):
    """f = x where x > 0, else alpha (e^x - 1); f' = 1 or alpha e^x (course notes, row ACT-16).

    Source: Clevert, Unterthiner and Hochreiter, 2016. The notes give alpha no value (row E36).

    Args:
        alpha: Minus the limit at minus infinity.
    """

    def __init__(self, alpha: Positive = 1.0) -> None:
        super().__init__()
        self.alpha = check_value(alpha, Positive, "activation.alpha")

    def forward(self, x: Tensor) -> Tensor:
        positive = torch.relu(x)
        return torch.add(positive, torch.expm1(x - positive), alpha=self.alpha)

    def derivative(self, x: Tensor) -> Tensor:
        below = self.alpha * torch.exp(x - torch.relu(x))
        return torch.where(x > 0, torch.ones_like(x), below)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha:g}"


@activations.register("selu")
class SELU(Activation):
    """f = scale (x where x > 0, else alpha (e^x - 1)) (course notes, rows ACT-17 and E4).

    With weights from `optlab.init.xavier_notes_`, mean 0 and variance 1 of the activations are a
    fixed point of the layers. The notes leave out the outer scale and round both constants.
    Source: Klambauer et al., 2017, equation 2 and appendix A4.2.
    """

    ALPHA: ClassVar[float] = 1.6732632423543772848170429916717
    SCALE: ClassVar[float] = 1.0507009873554804934193349852946

    def forward(self, x: Tensor) -> Tensor:
        positive = torch.relu(x)
        return self.SCALE * torch.add(positive, torch.expm1(x - positive), alpha=self.ALPHA)

    def derivative(self, x: Tensor) -> Tensor:
        below = self.ALPHA * torch.exp(x - torch.relu(x))
        return self.SCALE * torch.where(x > 0, torch.ones_like(x), below)


@activations.register("softmax")
class Softmax(Activation):
    """f_i = e^x_i / sum_j e^x_j over the last axis (course notes, row ACT-21).

    The row's maximum is subtracted first, which changes nothing but keeps e^x finite. The
    derivative is the Jacobian diag(f) - f f^T, shape (..., H, H).
    """

    elementwise: ClassVar[bool] = False

    def forward(self, x: Tensor) -> Tensor:
        return softmax(x)

    def derivative(self, x: Tensor) -> Tensor:
        f = softmax(x)
        return torch.diag_embed(f) - f.unsqueeze(-1) * f.unsqueeze(-2)


def step(x: Tensor) -> Tensor:
    """Return 1 where x >= 0, else 0, with gradient 0 (a comparison would have none)."""
    return torch.sign(torch.sign(x) + 1)


def softmax(x: Tensor) -> Tensor:
    """Return e^x normalized to sum 1 over the last axis."""
    powers = torch.exp(x - x.detach().amax(-1, keepdim=True))
    return powers / powers.sum(-1, keepdim=True)
