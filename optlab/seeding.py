"""Random streams keyed by (seed, purpose, counters): a run is a function of its configuration.

Nothing of a run is drawn from a global generator, so adding a run, a layer or an evaluation changes
no other draw. Only a layer that is made outside of runs begins with weights from torch's own.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def stream_key(seed: int, purpose: str, *counters: int | str) -> int:
    """Return the 63-bit key of a stream.

    Args:
        seed: The run's seed.
        purpose: What the numbers are for: ``"init"``, ``"order"``, ``"dropout"``, ``"data"`` ...
        counters: What tells apart several streams of one purpose, such as an epoch or a layer.
    """
    text = "/".join(map(str, (seed, purpose, *counters)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, purpose: str, *counters: int | str) -> torch.Generator:
    """Return a CPU generator at the start of the stream ``(seed, purpose, *counters)``.

    Streams are drawn on the CPU and moved, so that a run sees the same numbers on every device.
    """
    return torch.Generator().manual_seed(stream_key(seed, purpose, *counters))


@contextmanager
def global_stream(seed: int, device: str, purpose: str = "global") -> Iterator[None]:
    """Start torch's global generators from the run's seed, and put them back afterwards.

    What optlab's own parts draw from them is drawn anew from the run's streams before it trains; a
    user's model or optimizer may draw as it likes. Training has another stream than what comes
    before it, so that it does not matter how much was drawn there.
    """
    index = torch.device(device).index or 0
    devices = [index] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        # Not `torch.manual_seed`: it also makes a note for every other kind of device, with the
        # stack of its caller as a text, and takes as long as building a small network.
        for each in (torch.default_generator, *(torch.cuda.default_generators[i] for i in devices)):
            each.manual_seed(stream_key(seed, purpose))
        yield


def uniform_at(key: Tensor, counter: Tensor, size: tuple[int, ...], device: torch.device) -> Tensor:
    """Return numbers in [0, 1) that depend on nothing but (key, counter, position).

    A counter-based generator: it keeps no state, so it works under `torch.vmap` with one key per
    run, and a run in a stack draws what it would draw alone. Key and counter are hashed to two
    words by the 32-bit finalizer of MurmurHash3 (Appleby, 2011); they enter before the first and
    the second mixing of a position, so that streams are no shifts or permutations of each other.

    Args:
        key: Integer tensor, the stream; of shape (), or (R,) for R streams side by side.
        counter: Likewise the position in time (the update's number).
        size: Shape of the numbers of one stream; the result has shape (*key.shape, *size).
        device: Where to make it.
    """
    count = 1
    for length in size:
        count *= length
    position = torch.arange(count, device=device, dtype=torch.int64)
    first = _mix32(_mix32(_mix32(key) ^ (key >> 32)) ^ counter)
    second = _mix32(first + 0x9E3779B1)
    word = _mix32(_mix32(position ^ first.unsqueeze(-1)) + second.unsqueeze(-1))
    return (word >> 8).to(torch.float32).mul(2.0**-24).reshape((*key.shape, *size))


_MASK = 0xFFFFFFFF


def _mix32(word: Tensor) -> Tensor:
    word = word & _MASK
    word = ((word ^ (word >> 16)) * 0x85EBCA6B) & _MASK
    word = ((word ^ (word >> 13)) * 0xC2B2AE35) & _MASK
    return word ^ (word >> 16)
