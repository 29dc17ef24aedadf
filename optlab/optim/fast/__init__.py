"""Compiled updates on the CPU: the rule's own formula, in one pass over all tensors of a group.

A rule runs once under a recorder (`trace`), its formula becomes a C file (`source`), the machine's
compiler makes that a library (`compiler`), and a table of pointers, filled anew before each step
(`gather.cpp`, `table`), says where the tensors are. Nothing is copied, moved or owned: parameters,
gradients and states stay where users and PyTorch put them.

The result is that of the eager update with every operation rounded correctly. PyTorch's own square
root is not, where it comes from MKL: a fifth of float32 roots are off by one in the last place.
"""

from optlab.optim.fast.errors import NotCompiled
from optlab.optim.fast.group import CompiledGroup
from optlab.optim.fast.kernel import kernel_for

__all__ = ["CompiledGroup", "NotCompiled", "kernel_for"]
