"""What of a module a program is made of, and what the program cannot keep for it."""

import hashlib
from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from optlab.compiler import NotCompiled

#: What torch keeps in a module: its parts, which are gone through, and what somebody hooked on.
_KEPT_BY_TORCH = frozenset(vars(nn.Module()))


def called(
    module: nn.Module, state: dict[str, Tensor], x: Tensor, free: Collection[str] = ()
) -> Tensor:
    """Return what a module makes of ``x``.

    Args:
        module: The module; in its training or evaluation mode.
        state: Its parameters and buffers by name, and afterwards what it put in their place.
        x: Inputs of a batch.
        free: Names of what it may put something in the place of.

    Raises:
        NotCompiled: When it keeps something else for the next call.
    """
    before, given = _attributes(module), dict(state)
    output: Tensor = torch.func.functional_call(module, state, (x,))
    for (owner, name), value in _attributes(module).items():
        old = before.get((owner, name))
        if value is not old and (isinstance(value, Tensor) or value != old):
            raise NotCompiled(
                f"{type(owner).__name__} changes its {name!r} in every call; a buffer would be kept"
            )
    for name, tensor in state.items():
        if tensor is not given[name] and name not in free:
            raise NotCompiled(f"it puts something in the place of {name} in every call")
    return output


def _attributes(module: nn.Module) -> dict[tuple[nn.Module, str], Any]:
    """Return the numbers and tensors of a module that are neither parameters nor buffers."""
    return {
        (part, name): value
        for part in module.modules()
        for name, value in vars(part).items()
        if isinstance(value, int | float | Tensor)
    }


def replacement(name: str, value: Tensor, before: Tensor) -> Tensor:
    """Return the value that a buffer has after a call, which must be of the form it had before."""
    if (value.shape, value.dtype) != (before.shape, before.dtype):
        raise NotCompiled(f"the buffer {name} becomes {value.dtype} of shape {tuple(value.shape)}")
    return value.detach()


def built_in(module: nn.Module) -> str:
    """Return a mark of what of a module becomes a part of its program.

    That is which parameters learn, and all numbers and tensors that are neither parameters nor
    buffers: another seed may give others.
    """
    digest = hashlib.sha256(repr([p.requires_grad for p in module.parameters()]).encode())
    for part in module.modules():
        waiting = [value for name, value in vars(part).items() if name not in _KEPT_BY_TORCH]
        for value in waiting:
            if isinstance(value, Tensor):
                digest.update(_bytes_of(value))
            elif isinstance(value, np.ndarray | np.generic):
                digest.update(value.tobytes())
            elif isinstance(value, list | tuple | dict):
                waiting += value.values() if isinstance(value, dict) else value
            elif isinstance(value, str | int | float):
                digest.update(repr(value).encode())
    return digest.hexdigest()[:12]


def _bytes_of(tensor: Tensor) -> bytes:
    if tensor.layout is not torch.strided or tensor.device.type != "cpu":
        raise NotCompiled(f"the module holds a tensor of {tensor.layout} on {tensor.device}")
    flat = tensor.detach().resolve_conj().resolve_neg().reshape(-1).contiguous()
    form = repr((tensor.dtype, tensor.shape))
    return form.encode() + flat.view(torch.uint8).numpy().tobytes()
