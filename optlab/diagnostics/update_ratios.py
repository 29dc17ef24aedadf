"""How large an update is beside the weights it changes (course notes, rows LRN-01 to LRN-06)."""

from collections.abc import Mapping

import torch
from torch import Tensor


@torch.no_grad()
def update_ratios(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> dict[str, float]:
    """Return ``{"update_ratio/name": norm(after - before) / norm(before)}`` in one copy.

    Far below 1e-3 little is learned; near 1 an update overwrites what the weights were. A
    parameter that was 0 has no ratio: it gives infinity, or NaN where it stays 0.

    Args:
        before: Parameters by name, before the update.
        after: The same after it.
    """
    if not before:
        return {}
    old = list(before.values())
    change = torch._foreach_sub([after[name] for name in before], old)
    sizes = [torch.stack(torch._foreach_norm(tensors)) for tensors in (change, old)]
    ratios = (sizes[0] / sizes[1]).tolist()
    return {f"update_ratio/{name}": ratio for name, ratio in zip(before, ratios, strict=True)}
