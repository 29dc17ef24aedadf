"""Directions in the space of a network's weights along which its loss is looked at.

Shapes: points of a path N, weights of the network P.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optlab import seeding

Weights = Mapping[str, Tensor]


def random_direction(weights: Weights, seed: int, number: int) -> dict[str, Tensor]:
    """Return a random direction in which a step of 1 is as long as the weights, filter by filter.

    Every filter (row of a matrix, output channel of a convolution) gets the norm of that of the
    weights, so that networks of other scales can be compared; vectors, which are biases and scales
    of normalization, stay where they are.

    Args:
        weights: Parameters by name.
        seed: Which directions.
        number: Which one of them.

    Source: Li et al. (2018), Visualizing the loss landscape of neural nets, section 4.
    """
    stream = seeding.generator(seed, "landscape", number)
    return {name: _filtered(weight, stream) for name, weight in weights.items()}


def _filtered(weight: Tensor, stream: torch.Generator) -> Tensor:
    drawn = torch.randn(weight.shape, generator=stream, dtype=torch.float64).to(weight)
    if weight.dim() < 2:
        return torch.zeros_like(weight)
    rows, wanted = drawn.flatten(1), weight.flatten(1)
    lengths = wanted.norm(dim=1) / rows.norm(dim=1)
    return torch.mul(rows, lengths[:, None]).view_as(weight)


@dataclass(frozen=True, eq=False)
class Principal:
    """The plane through the end of a path in which the path lies best.

    Attributes:
        directions: The first two principal directions, each of length 1.
        explained: Share of the path's squared distance from its end along each.
        coordinates: Where the points of the path are in it, (N, 2); the last one is (0, 0).
    """

    directions: tuple[dict[str, Tensor], dict[str, Tensor]]
    explained: tuple[float, float]
    coordinates: Tensor


def principal(path: Sequence[Weights]) -> Principal:
    """Return the principal plane of a path of at least three points.

    Source: Li et al. (2018), section 7.2: principal directions of the differences to the end.
    """
    end = path[-1]
    rows = torch.stack([_flat(point) - _flat(end) for point in path])
    _, lengths, directions = torch.linalg.svd(rows, full_matrices=False)
    shares = lengths.square() / lengths.square().sum().clamp_min(1e-300)
    first, second = (_shaped(direction, end) for direction in directions[:2])
    explained = (float(shares[0]), float(shares[1]))
    return Principal((first, second), explained, rows @ directions[:2].T)


def _flat(weights: Weights) -> Tensor:
    return torch.cat([weight.detach().double().flatten() for weight in weights.values()])


def _shaped(direction: Tensor, weights: Weights) -> dict[str, Tensor]:
    sizes = [weight.numel() for weight in weights.values()]
    parts = zip(weights.items(), torch.split(direction, sizes), strict=True)
    return {name: part.view(weight.shape).to(weight) for (name, weight), part in parts}
