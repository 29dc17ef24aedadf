"""Sequences of different lengths in one batch: padded, or packed as torch packs them.

Shapes: time T, batch B, features F.
"""

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence


def padding(lengths: Tensor, steps: int) -> Tensor:
    """Return which steps lie past the end of their sequence.

    Args:
        lengths: Number of steps of each sequence, (B,), integers.
        steps: T.

    Returns:
        (T, B, 1), boolean.
    """
    times = torch.arange(steps, device=lengths.device)
    return (times.unsqueeze(1) >= lengths).unsqueeze(2)


def unpack(packed: PackedSequence) -> tuple[Tensor, Tensor]:
    """Return a packed batch as (padded (T, B, F), lengths (B,)), in the order of the packing."""
    sizes = packed.batch_sizes
    batch = int(sizes[0])
    places = _places(sizes, packed.data.device)
    flat = packed.data.new_zeros(len(sizes) * batch, *packed.data.shape[1:])
    slots = torch.arange(batch, device=sizes.device)
    lengths = (sizes.unsqueeze(0) > slots.unsqueeze(1)).sum(1)
    flat = flat.index_copy(0, places, packed.data)
    return flat.view(len(sizes), batch, *flat.shape[1:]), lengths.to(flat.device)


def pack_like(padded: Tensor, packed: PackedSequence) -> PackedSequence:
    """Return ``padded``, (T, B, F) in the order of the packing, packed as ``packed`` is."""
    places = _places(packed.batch_sizes, padded.device)
    data = padded.flatten(0, 1).index_select(0, places)
    return PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)


def _places(sizes: Tensor, device: torch.device) -> Tensor:
    """Return where the rows of packed data lie in a padded batch laid flat, (T * B,)."""
    slots = torch.arange(int(sizes[0]), device=sizes.device)
    present = slots < sizes.unsqueeze(1)
    return present.flatten().nonzero().squeeze(1).to(device)
