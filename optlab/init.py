"""Initializers: fill a weight in place, by the rules of the course notes and of their papers.

Weights are laid out as torch lays them out, (out, in, *kernel). Every function takes the stream
it draws from, ``he_normal_(weight, generator=g)``, and returns the tensor it filled; what sets it
apart from others (a bound, a gain) is a keyword. `initialize` fills a whole module from a seed.

The notes call three different things "Xavier" (row E13): all three are here, under three names.
"""

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from optlab import seeding
from optlab.config import ConfigError
from optlab.registry import initializers
from optlab.types import Positive, Real


class Initializer(Protocol):
    """Fills a tensor in place from a stream and returns it."""

    def __call__(self, tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Fill ``tensor``; without a ``generator`` torch's global one is drawn from."""
        ...


def fans(tensor: Tensor) -> tuple[int, int]:
    """Return (fan_in, fan_out) of a weight of shape (out, in, *kernel).

    Raises:
        ConfigError: For a tensor with fewer than two axes, which has no fans.
    """
    if tensor.ndim < 2:
        raise ConfigError(
            f"a weight needs at least two axes (out, in) to have fans, got shape "
            f"{tuple(tensor.shape)}; leave vectors such as biases at their constants"
        )
    receptive = math.prod(tensor.shape[2:])
    return tensor.shape[1] * receptive, tensor.shape[0] * receptive


@runtime_checkable
class SelfInitialized(Protocol):
    """A module that fills its own parameters, because some are not one weight (of a gate, say)."""

    def initialize_(self, fill: Callable[[str, Tensor, Initializer | None], None]) -> None:
        """Fill every parameter that is this module's own.

        Args:
            fill: ``fill(name, tensor, initializer)`` fills a tensor (a parameter or a view of one)
                from the stream of ``name``, by the run's initializer if that is None.
        """
        ...


@torch.no_grad()
def initialize(module: nn.Module, initializer: Initializer, seed: int) -> bool:
    """Fill every weight of ``module`` from its own stream ``(seed, "init", name)``.

    A weight is a parameter with two or more axes. Biases become 0; other vectors (the scale of a
    normalization, the slope of a PReLU) keep their constants; a `SelfInitialized` part decides for
    itself. Adding a layer changes no other layer's weights, and numbers are drawn in float32 on
    the CPU, so that every device and dtype starts alike. Course notes, row INI-14.

    Returns:
        Whether ``initializer`` filled anything.
    """
    used = False

    def fill(name: str, tensor: Tensor, other: Initializer | None = None) -> None:
        nonlocal used
        used = used or other is None
        drawn = torch.empty(tensor.shape, dtype=torch.float32)
        stream = seeding.generator(seed, "init", name)
        tensor.copy_((other or initializer)(drawn, generator=stream))

    for path, part in module.named_modules():
        prefix = f"{path}." if path else ""
        if isinstance(part, SelfInitialized):
            part.initialize_(lambda name, *rest, prefix=prefix: fill(prefix + name, *rest))
            continue
        for name, parameter in part.named_parameters(recurse=False):
            if parameter.ndim >= 2:
                fill(prefix + name, parameter)
            elif name == "bias":
                parameter.zero_()
    return used


@initializers.register("zeros")
def zeros_(tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Fill with 0: all units of a layer stay equal for ever (course notes, row INI-02)."""
    with torch.no_grad():
        return tensor.zero_()


@initializers.register("constant")
def constant_(
    tensor: Tensor, *, value: Real = 0.5, generator: torch.Generator | None = None
) -> Tensor:
    """Fill with ``value``: as symmetric as zeros (course notes, row INI-03)."""
    with torch.no_grad():
        return tensor.fill_(value)


@initializers.register("uniform_small")
def uniform_small_(
    tensor: Tensor, *, bound: Positive = 0.01, generator: torch.Generator | None = None
) -> Tensor:
    """Draw from U(-bound, bound), too small for a deep net (course notes, row INI-04)."""
    return _uniform(tensor, bound, generator)


@initializers.register("uniform_large")
def uniform_large_(
    tensor: Tensor, *, bound: Positive = 3.0, generator: torch.Generator | None = None
) -> Tensor:
    """Draw from U(-bound, bound), so large that units saturate (course notes, row INI-05)."""
    return _uniform(tensor, bound, generator)


@initializers.register("uniform_fan_in")
def uniform_fan_in_(tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Draw from U(-b, b) with b = 1/sqrt(fan_in), torch's default (course notes, row INI-06)."""
    fan_in, _ = fans(tensor)
    return _uniform(tensor, 1 / math.sqrt(fan_in), generator)


@initializers.register("xavier_normal")
def xavier_normal_(tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Draw from N(0, sd^2) with sd = sqrt(2/(fan_in + fan_out)) (course notes, row INI-07).

    Source: Glorot and Bengio, 2010, equation 12.
    """
    return _normal(tensor, math.sqrt(2 / sum(fans(tensor))), generator)


@initializers.register("xavier_uniform")
def xavier_uniform_(tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Draw from U(-b, b) with b = sqrt(6/(fan_in + fan_out)) (course notes, row INI-08).

    Source: Glorot and Bengio, 2010, equation 16; Keras' ``glorot_uniform``.
    """
    return _uniform(tensor, math.sqrt(6 / sum(fans(tensor))), generator)


@initializers.register("xavier_notes")
def xavier_notes_(tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Draw from N(0, sd^2) with sd = 1/sqrt(fan_in) (course notes, rows INI-09 and E14).

    The notes call it Xavier; elsewhere it is LeCun normal (LeCun et al., 1998, section 4.6), the
    partner of SELU. It equals `xavier_normal_` only where fan_in = fan_out.
    """
    fan_in, _ = fans(tensor)
    return _normal(tensor, 1 / math.sqrt(fan_in), generator)


@initializers.register("he_uniform")
def he_uniform_(tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Draw from U(-b, b) with b = sqrt(6/fan_in) (course notes, row INI-10).

    Source: He et al., 2015, equation 10, with the uniform distribution of that variance.
    """
    fan_in, _ = fans(tensor)
    return _uniform(tensor, math.sqrt(6 / fan_in), generator)


@initializers.register("he_normal")
def he_normal_(tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Draw from N(0, sd^2) with sd = sqrt(2/fan_in) (course notes, row INI-11).

    Source: He et al., 2015, equation 10.
    """
    fan_in, _ = fans(tensor)
    return _normal(tensor, math.sqrt(2 / fan_in), generator)


@initializers.register("identity")
def identity_(
    tensor: Tensor, *, gain: Real = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Fill with ``gain`` on the diagonal and 0 beside it (course notes, rows INI-13 and E15).

    A stack of L such linear layers multiplies its input by gain^L. The notes' "weights close to 1"
    means such a gain: entries that are all 1 multiply by the width instead. A weight that is not
    square gets as much of the diagonal as fits; a kernel has it at its centre.
    """
    rows, columns = tensor.shape[:2]
    with torch.no_grad():
        centre = tensor.zero_()
        for length in tensor.shape[2:]:
            centre = centre.select(2, length // 2)
        centre.copy_(gain * torch.eye(rows, columns))
    return tensor


@initializers.register("orthogonal")
def orthogonal_(
    tensor: Tensor, *, gain: Real = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Fill with ``gain`` times a random matrix of orthonormal rows or columns, whichever fit.

    It keeps the length of what it multiplies, however often: the usual recurrent weight (course
    notes, row GRD-07). A kernel is laid flat, (out, in * kernel).

    Source: Saxe et al., 2014; signs as Mezzadri, 2007, so that all such matrices are as likely.
    """
    fans(tensor)
    with torch.no_grad():
        rows = tensor.flatten(1)
        tall = torch.empty(max(rows.shape), min(rows.shape), dtype=torch.float64)
        q, r = torch.linalg.qr(tall.normal_(generator=generator))
        q *= r.diagonal().sign()
        return tensor.copy_(
            (gain * (q if rows.shape[0] >= rows.shape[1] else q.t())).view_as(tensor)
        )


@initializers.register("standard_normal")
def standard_normal_(tensor: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Draw from N(0, 1), whatever the fans: the base that the notes scale (row INI-09)."""
    return _normal(tensor, 1.0, generator)


def _uniform(tensor: Tensor, bound: float, generator: torch.Generator | None) -> Tensor:
    with torch.no_grad():
        return tensor.uniform_(-bound, bound, generator=generator)


def _normal(tensor: Tensor, deviation: float, generator: torch.Generator | None) -> Tensor:
    with torch.no_grad():
        return tensor.normal_(0.0, deviation, generator=generator)
