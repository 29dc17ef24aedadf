"""The state of any optimizer object, put back bit for bit or refused."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from optlab.config import ConfigError


def load_optimizer(optimizer: torch.optim.Optimizer, saved: Mapping[str, Any]) -> None:
    """Load a state dict, with every tensor in the dtype in which it was saved.

    PyTorch's own ``load_state_dict`` casts floating entries to the dtype of their parameter, which
    would change the bits of an optimizer that keeps its state in another precision.

    Args:
        optimizer: A new one, of the same parameters.
        saved: What ``optimizer.state_dict()`` returned.

    Raises:
        ConfigError: When ``optimizer.state_dict()`` then says something else.
    """
    try:
        optimizer.load_state_dict(copy.deepcopy(dict(saved)))
        _in_saved_dtypes(optimizer, saved)
        different = first_difference(saved, optimizer.state_dict())
    except Exception as error:  # of code of others
        different = f"{type(error).__name__}: {error}"
    if different:
        raise ConfigError(
            f"{type(optimizer).__name__} does not take its own state back ({different}), so a run "
            "under it cannot go on where it stopped; remove its checkpoints to begin it anew"
        )


def _in_saved_dtypes(optimizer: torch.optim.Optimizer, saved: Mapping[str, Any]) -> None:
    """Put tensors that were cast on loading back as they were saved."""
    if not {"param_groups", "state"} <= saved.keys():  # one that wraps others, in its own words
        return
    numbers = [number for group in saved["param_groups"] for number in group["params"]]
    params = [param for group in optimizer.param_groups for param in group["params"]]
    for number, param in zip(numbers, params, strict=True):
        for key, value in saved["state"].get(number, {}).items():
            own = optimizer.state[param].get(key)
            if isinstance(value, Tensor) and isinstance(own, Tensor) and own.dtype != value.dtype:
                optimizer.state[param][key] = value.to(own.device, copy=True)


def first_difference(saved: Any, found: Any) -> str | None:
    """Return where two trees of tensors, numbers and texts differ first, or None."""
    pairs = dict(leaves(saved)), dict(leaves(found))
    for place in dict.fromkeys([*pairs[0], *pairs[1]]):
        if place not in pairs[0] or place not in pairs[1]:
            return f"{place} is in one of the two alone"
        if not _same(pairs[0][place], pairs[1][place]):
            return f"{place} differs"
    return None


def leaves(tree: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield everything in nested mappings and lists with its place, such as ``"state.0.step"``."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from leaves(value, f"{place}.{key}" if place else str(key))
    elif isinstance(tree, list | tuple):
        for index, value in enumerate(tree):
            yield from leaves(value, f"{place}[{index}]")
    else:
        yield place, tree


def _same(saved: Any, found: Any) -> bool:
    if isinstance(saved, Tensor) and isinstance(found, Tensor):
        form = saved.dtype == found.dtype and saved.shape == found.shape
        return form and bits(saved) == bits(found)
    return type(saved) is type(found) and (saved == found or saved != saved)


def bits(tensor: Tensor) -> bytes:
    """Return a tensor's numbers as they lie in memory."""
    return bytes(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
