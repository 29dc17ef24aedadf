"""Compiled functions called beside PyTorch, on other numbers than those they were recorded with."""

import torch

from optlab.train.native.function import Bound, compiled, room_of

GARBAGE = 0xA5  # in memory to work in: nothing may be read there before it is written


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def called(function, *inputs, recorded=None, results=None):
    """Return what the compiled function leaves in the arguments of ``results``."""
    examples = [i.clone() for i in (recorded or inputs)]
    wanted = function(*[i.clone() for i in examples])
    first = len(inputs)
    results = results or [first + i for i in range(len(wanted))]
    made = compiled(function, examples, list(range(first)), results)
    arguments = [i.clone() for i in inputs]
    pairs = zip(results, wanted, strict=True)
    arguments += [torch.full_like(w, 1).contiguous() for place, w in pairs if place >= first]
    room = room_of(made.room).fill_(GARBAGE)
    Bound(made, arguments, room)()
    return [arguments[place] for place in results]


def check(function, *inputs, recorded=None, results=None, **tolerance):
    """Compare a function with its compiled self."""
    made = called(function, *inputs, recorded=recorded, results=results)
    wanted = function(*[i.clone() for i in inputs])
    for ours, theirs in zip(made, wanted, strict=True):
        torch.testing.assert_close(ours, theirs.contiguous(), equal_nan=True, **tolerance)
