"""A function of tensors as a list of PyTorch's operations, for given shapes."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule

from optlab.compiler import NotCompiled
from optlab.nn.native import spelled_out
from optlab.nn.operation import known_operations, operation_named

aten = torch.ops.aten

#: Operations that are taken apart into simpler ones.
_COMPOSITE = [
    *(aten._log_softmax, aten._log_softmax_backward_data, aten._softmax),
    *(aten._softmax_backward_data, aten.addmm, aten.threshold_backward, aten.tanh_backward),
    *(aten.sigmoid_backward, aten.addcmul, aten.addcdiv, aten.lerp),
    *(aten.baddbmm, aten.new_zeros, aten.new_ones, aten.new_full, aten.select_backward),
    *(aten.slice_backward, aten.embedding_dense_backward, aten.norm, aten.square),
]

#: Our own operations that are recorded as what they compute, where PyTorch's operations do it well;
#: the kernels of the others are better than what would be made of them.
_SPELLED_OUT = ("batch_norm", "layer_norm", "dropout")


def graph_of(function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor]) -> GraphModule:
    """Return what ``function(*inputs)`` computes, without writing into anything.

    Args:
        function: Returns tensors; may take gradients and write into tensors of its own.
        inputs: Tensors of the shapes, dtypes and strides to come.

    Raises:
        NotCompiled: When it draws from a global generator, which runs would share.
    """
    from torch._decomp import get_decompositions
    from torch.fx.experimental.proxy_tensor import make_fx

    # Twice: what is written in place is undone in a graph that has no autograd function any more.
    parts: Any = get_decompositions(_COMPOSITE)
    with torch.no_grad(), spelled_out():
        traced = make_fx(
            lambda *given: tuple(function(*given)),
            decomposition_table=_own(),
            tracing_mode="fake",
            _allow_non_fake_inputs=True,
        )(*inputs)
        traced.graph.eliminate_dead_code()
        pure: Any = make_fx(
            torch.func.functionalize(traced, remove="mutations"),
            decomposition_table=parts,
            tracing_mode="fake",
            _allow_non_fake_inputs=True,
        )(*inputs)
    pure.graph.eliminate_dead_code()
    for node in pure.graph.nodes:
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
            raise NotCompiled(
                f"{node.target} draws from a global generator, and runs would share its numbers"
            )
    module: GraphModule = pure
    return module


def _own() -> dict[Any, Callable[..., Any]]:
    """Return what stands for our own operators."""
    found: dict[Any, Callable[..., Any]] = {}
    for name in _SPELLED_OUT:
        if name in known_operations():
            for operator, function in operation_named(name).implementations.items():
                found[getattr(torch.ops.optlab, operator).default] = function
    return found
