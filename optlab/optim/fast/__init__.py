"""Compiled updates: the rule's own formula, in one pass over all tensors of a group.

A rule runs once under a recorder (`trace`), and its formula becomes text that C and CUDA C++ read
alike (`source`). On the CPU that is a C file (`c_source`) which the machine's compiler makes into a
library (`compiler`); on a CUDA device a kernel (`cuda_source`) which PyTorch's copy of NVIDIA's
runtime compiler makes into machine code (`cuda`). A table of pointers, filled anew before each step
(`gather.cpp`, `table`, `cuda_table`), says where the tensors are. Nothing is copied, moved or
owned: parameters, gradients and states stay where users and PyTorch put them.

The result is that of the eager update with every operation rounded correctly. PyTorch's own are
not, where a square root comes from MKL (a fifth of float32 roots are off by one in the last place)
or where a division by a number on CUDA is a multiplication by its inverse.

On a CUDA device counters lie beside their parameters, are advanced there, and nobody waits for
them: a step may be captured in a CUDA graph with or without ``capturable=True``.
"""

from optlab.compiler import NotCompiled
from optlab.optim.fast.group import CompiledGroup
from optlab.optim.fast.kernel import kernel_for

__all__ = ["CompiledGroup", "NotCompiled", "kernel_for"]
