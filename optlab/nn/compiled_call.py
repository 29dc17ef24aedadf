"""How `torch.compile` sees a call of an operation. Imported while it traces one, never before.

Telling the compiler about a function imports all of it, which takes a second.
"""

from typing import Any

import torch

from optlab.nn.operation import operation_named
from optlab.nn.operation_autograd import Tensors


@torch.compiler.allow_in_graph  # type: ignore[untyped-decorator]
def call(name: str, *arguments: Any) -> Tensors:
    """Call the operation called ``name``, as one node of a graph."""
    return operation_named(name).apply(*arguments)
