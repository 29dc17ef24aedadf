"""Euclidean norm of every parameter and of its gradient (GRD-01)."""

from collections.abc import Mapping

import torch
from torch import Tensor


@torch.no_grad()
def layer_norms(kind: str, tensors: Mapping[str, Tensor]) -> dict[str, float]:
    """Return ``{kind/name: norm}``; all norms leave the device in one copy.

    Args:
        kind: First part of the tag, such as ``"gradient_norm"``.
        tensors: Tensors by parameter name.
    """
    if not tensors:
        return {}
    norms = torch.stack([torch.linalg.vector_norm(t) for t in tensors.values()]).tolist()
    return {f"{kind}/{name}": norm for name, norm in zip(tensors, norms, strict=True)}
