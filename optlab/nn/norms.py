"""The choices of the group ``norm``: what makes a normalization for a layer of some features."""

from torch import nn

from optlab.nn.batchnorm import BatchNorm1d, EpsMode
from optlab.registry import norms
from optlab.types import Fraction, Positive


@norms.register("none")
def no_norm(num_features: int) -> nn.Module:
    """Return a module that does nothing."""
    return nn.Identity()


@norms.register("batchnorm")
def batchnorm(
    num_features: int,
    *,
    eps: Positive = 1e-5,
    momentum: Fraction = 0.1,
    affine: bool = True,
    eps_mode: EpsMode = "variance",
) -> nn.Module:
    """Return a `BatchNorm1d`, whose arguments these are."""
    return BatchNorm1d(num_features, eps, momentum, affine, eps_mode)
