"""Whether a function computes the same in every call, which a recording of one call cannot tell."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from optlab.compiler import NotCompiled
from optlab.train.native.graph import Graph, Tracked, graph_of


def steady_graph_of(function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor]) -> Graph:
    """Return what ``function(*inputs)`` computes, recorded twice; see `graph_of`.

    Raises:
        NotCompiled: When the two differ: a number that it drew with NumPy or Python, read from a
            clock or counted would stand in the program for good.
    """
    graph, again = graph_of(function, inputs), graph_of(function, inputs)
    if _words(graph) != _words(again):
        raise NotCompiled(
            "two calls on the same tensors compute different things: it depends on something that "
            "is no tensor, such as a random number of Python or NumPy, a clock or a counter"
        )
    return graph


def _words(graph: Graph) -> list[Any]:
    """Return a graph in words that are equal for graphs that compute the same."""
    numbers: dict[Tracked, int] = {}

    def word(value: Any) -> Any:
        if isinstance(value, Tracked):
            return "tensor", numbers.setdefault(value, len(numbers)), value.shape, value.dtype
        if isinstance(value, list | tuple):
            return [word(each) for each in value]
        if isinstance(value, dict):
            return [(key, word(each)) for key, each in value.items()]
        return repr(value)

    words = [word(graph.inputs)]
    for node in graph.nodes:
        words.append([str(node.target), word(node.arguments), word(node.keywords)])
        words.append(word(node.outputs))
    words += [word(graph.outputs), sorted(numbers[t] for t in graph.written if t in numbers)]
    return words + [(word(place), _bits(value)) for place, value in graph.constants.items()]


def _bits(tensor: Tensor) -> bytes:
    flat = tensor.detach().cpu().reshape(-1).contiguous()
    return flat.view(torch.uint8).numpy().tobytes()
