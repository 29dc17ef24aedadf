"""A trained network made smaller for evaluation: normalizations become part of the weights."""

import copy
import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from optlab.nn.normalization.batchnorm import BatchNorm


def fold_batchnorm(module: nn.Module) -> nn.Module:
    """Return a copy for evaluation whose batch normalizations are folded into what stands before.

    In evaluation a batch normalization scales and shifts every feature by fixed numbers; right
    after a linear layer or a convolution these multiply its weights and move its bias::

        weight' = s * weight        bias' = s * (bias - running_mean) + bias of the norm

    with s = weight of the norm / sqrt(running_var + eps). The folded norm becomes an identity, and
    the names of all others stay. What cannot be folded is left as it is: a norm without running
    statistics, one behind anything else, and layers that are used in several places. Only layers
    that follow each other in a `torch.nn.Sequential` (or in those inside one) are known to do so.

    Args:
        module: Any module; it is not changed. A linear layer before a norm must see rows, (B, F).
    """
    folded = copy.deepcopy(module).eval()
    if isinstance(folded, BatchNorm):
        return folded
    uses = Counter(part for _, part in folded.named_modules(remove_duplicate=False))
    for part in list(folded.modules()):
        if isinstance(part, nn.Sequential):
            places = list(_in_order(part))
            for (_, _, layer), (parent, name, norm) in itertools.pairwise(places):
                single = uses[layer] == 1 == uses[norm]
                if single and isinstance(norm, BatchNorm) and _can_take(layer, norm):
                    _fold(layer, norm)
                    setattr(parent, name, nn.Identity())
    return folded


def _in_order(sequence: nn.Sequential) -> Iterator[tuple[nn.Sequential, str, nn.Module]]:
    """Yield (parent, name, module) of what a sequence calls, those inside others included."""
    for name, part in sequence.named_children():
        if isinstance(part, nn.Sequential):
            yield from _in_order(part)
        else:
            yield sequence, name, part


def _can_take(layer: Any, norm: BatchNorm) -> bool:
    """Return whether ``layer`` has a weight (out, in, ...) and a bias, if only None, that fit."""
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, nn.Parameter) or weight.ndim < 2 or norm.running_mean is None:
        return False
    bias = getattr(layer, "bias", False)
    fits = weight.shape[0] == norm.num_features and not isinstance(layer, BatchNorm)
    return fits and (bias is None or isinstance(bias, nn.Parameter))


@torch.no_grad()
def _fold(layer: Any, norm: BatchNorm) -> None:
    weight, bias = layer.weight, layer.bias
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, variance = norm.running_mean.double(), norm.running_var.double()
    if norm.eps_mode == "variance":
        scale = torch.rsqrt(variance + norm.eps)
    else:
        scale = torch.reciprocal(variance.sqrt() + norm.eps)
    scale = scale if norm.weight is None else scale * norm.weight.double()
    shift: Tensor | float = 0.0 if norm.bias is None else norm.bias.double()
    before: Tensor | float = 0.0 if bias is None else bias.double()
    columns = scale.reshape(-1, *[1] * (weight.ndim - 1))
    moved = (before - mean) * scale + shift
    layer.weight = nn.Parameter((weight.double() * columns).to(weight.dtype), weight.requires_grad)
    layer.bias = nn.Parameter(moved.to(weight.dtype), weight.requires_grad)
