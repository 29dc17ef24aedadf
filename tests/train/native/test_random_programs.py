"""Random functions compiled are what PyTorch makes of them, wherever their memory lies."""

import pytest
import torch

from optlab.compiler import NoCompiler
from optlab.train.native.function import Bound, compiled, kernels, room_of
from tests.train.native.calling import GARBAGE
from tests.train.native.random_programs import inputs_of, program

try:
    kernels()
except NoCompiler as reason:
    pytest.skip(f"needs a C compiler: {reason}", allow_module_level=True)

TOGETHER = 15  # programs in one function: a compiler is called once for them
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3}  # of what goes through float32 in between


def together(seeds, dtype, vary):
    """Return a function that does what the programs of the seeds do, and its inputs."""
    given = [inputs_of(seed, dtype, vary) for seed in seeds]

    def function(*tensors):
        waiting = iter(tensors)
        made = []
        for seed, own in zip(seeds, given, strict=True):
            made += [v.clone() for v in program(seed)(*[next(waiting) for _ in own])]
        return made

    return function, [tensor for own in given for tensor in own]


def in_odd_places(tensors):
    """Return copies that begin one element after where memory is aligned."""
    moved = []
    for tensor in tensors:
        flat = torch.empty(tensor.numel() + 1, dtype=tensor.dtype)[1:]
        moved.append(flat.view(tensor.shape).copy_(tensor))
    return moved


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("start", range(0, 8 * TOGETHER, TOGETHER))
def test_random_programs_compute_what_pytorch_computes(start, dtype):
    seeds = range(start, start + TOGETHER)
    function, examples = together(seeds, dtype, vary=0)
    count, num_results = len(examples), len(function(*examples))
    results = list(range(count, count + num_results))
    made = compiled(function, examples, list(range(count)), results)
    _, inputs = together(seeds, dtype, vary=1)
    wanted = function(*inputs)
    given = [torch.full_like(w, 7).contiguous() for w in wanted]
    found = []
    for place in (list, in_odd_places):
        arguments = place([*inputs, *given])
        Bound(made, arguments, room_of(made.room).fill_(GARBAGE))()
        found.append([result.clone() for result in arguments[count:]])
    for ours, moved, theirs in zip(*found, wanted, strict=True):
        close = TOLERANCE[torch.float32 if theirs.dtype == torch.float32 else dtype]
        torch.testing.assert_close(ours, theirs, rtol=close, atol=close, equal_nan=True)
        torch.testing.assert_close(ours, moved, rtol=0, atol=0, equal_nan=True)
