"""Looking at a module without a trace: whatever a look changes is put back."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def undisturbed(module: nn.Module) -> Iterator[None]:
    """Put buffers, modes and torch's random generators back, bit for bit, at the end.

    Buffers (running statistics, counters of dropout masks) are the same tensors again, with their
    numbers of before. Parameters and their gradients are the caller's to leave alone:
    `torch.autograd.grad` does. What a module keeps elsewhere cannot be known here.

    Args:
        module: The module, on any device.
    """
    owners = list(module.modules())
    modes = [owner.training for owner in owners]
    buffers = [(owner, dict(owner._buffers)) for owner in owners if owner._buffers]
    copies = [{k: _copy(value) for k, value in kept.items()} for _, kept in buffers]
    with torch.random.fork_rng(devices=_cuda_devices(module)):
        try:
            yield
        finally:
            for owner, mode in zip(owners, modes, strict=True):
                owner.training = mode
            for (owner, kept), copied in zip(buffers, copies, strict=True):
                _put_back(owner, kept, copied)


@torch.no_grad()
def _put_back(
    owner: nn.Module, kept: dict[str, Tensor | None], copied: dict[str, Tensor | None]
) -> None:
    for name, buffer in kept.items():
        before = copied[name]
        if buffer is not None and before is not None:
            buffer.copy_(before)
        owner._buffers[name] = buffer


def _copy(buffer: Tensor | None) -> Tensor | None:
    return None if buffer is None else buffer.detach().clone()


def _cuda_devices(module: nn.Module) -> list[int]:
    tensors = (*module.parameters(), *module.buffers())
    return sorted({t.device.index or 0 for t in tensors if t.device.type == "cuda"})
