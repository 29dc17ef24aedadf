"""The choices of the group ``norm``: what makes a normalization for a layer of some features.

A maker is called with the number of features and the number of axes of a position: 0 for rows,
(B, F), and 2 for images, (B, F, H, W).
"""

from torch import nn

from optlab.config import ConfigError
from optlab.nn.normalization.batchnorm import BatchNorm1d, BatchNorm2d, EpsMode
from optlab.nn.normalization.layernorm import LayerNorm, LayerNorm2d
from optlab.registry import norms
from optlab.types import Fraction, Positive


@norms.register("none")
def no_norm(num_features: int, spatial: int = 0) -> nn.Module:
    """Return a module that does nothing."""
    return nn.Identity()


@norms.register("batchnorm")
def batchnorm(
    num_features: int,
    spatial: int = 0,
    *,
    eps: Positive = 1e-5,
    momentum: Fraction | None = 0.1,
    affine: bool = True,
    eps_mode: EpsMode = "variance",
) -> nn.Module:
    """Return a `BatchNorm1d`, or a `BatchNorm2d` for images, whose arguments these are."""
    kind = (BatchNorm1d, BatchNorm2d)[_is_image(spatial)]
    return kind(num_features, eps, momentum, affine, eps_mode=eps_mode)


@norms.register("layernorm")
def layernorm(
    num_features: int,
    spatial: int = 0,
    *,
    eps: Positive = 1e-5,
    elementwise_affine: bool = True,
    bias: bool = True,
) -> nn.Module:
    """Return a `LayerNorm`, or for images one over the channels of every pixel, `LayerNorm2d`."""
    kind = (LayerNorm, LayerNorm2d)[_is_image(spatial)]
    return kind(num_features, eps, elementwise_affine, bias)


def _is_image(spatial: int) -> bool:
    if spatial not in (0, 2):
        raise ConfigError(f"a norm is made for 0 (rows) or 2 (images) spatial axes, got {spatial}")
    return spatial == 2
