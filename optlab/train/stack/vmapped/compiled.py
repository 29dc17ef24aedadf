"""A function of tensors as one compiled program, without what `torch.compile` asks at every call.

`make_fx` follows the function through `torch.vmap` and `torch.func.grad` into plain operations, and
Inductor makes kernels of them. `torch.compile` would read bytecode first, and ask at every call
whether anything has changed: for the hundreds of tensors of a stack that takes as long as a small
update. What is compiled lies in Inductor's cache, where other processes find it.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten


def compiled(function: Callable[..., Any], kept: Any, *arguments: Any) -> Callable[..., Any]:
    """Return ``lambda *arguments: function(kept, *arguments)``, compiled.

    Nothing is written into while it is compiled.

    Args:
        function: Takes trees of tensors and Nones, may write into them, and returns a tree.
        kept: Tensors that are the same objects in every call.
        arguments: Examples of the others, whose shapes, strides, dtypes and devices stay.
    """
    from torch._inductor import compile as compile_graph  # here: importing it takes a second
    from torch.fx.experimental.proxy_tensor import make_fx

    leaves, spec = tree_flatten((kept, *arguments))
    fixed, _ = tree_flatten(kept)
    returned: list[TreeSpec] = []

    def flat(*leaves: Any) -> list[Tensor]:
        results, shape = tree_flatten(function(*tree_unflatten(leaves, spec)))
        returned.append(shape)
        return results

    with torch.no_grad():
        graph = make_fx(flat, tracing_mode="fake")(*leaves)
        graph.graph.eliminate_dead_code()
        graph.recompile()
        program = compile_graph(graph, leaves)

    def call(*arguments: Any) -> Any:
        return tree_unflatten(program(*fixed, *tree_flatten(arguments)[0]), returned[0])

    return call
