"""Runs as C programs made from one run's own computation, on the CPU.

From the bottom: `graph` records a function as PyTorch's operations, `lower` writes these as loops
(`nests`, `forms`) over memory (`values`), `function` compiles and calls them, `programs` makes the
functions of a run, and `backend` trains many runs with them.
"""

from optlab.train.native.backend import Native, NotNative

__all__ = ["Native", "NotNative"]
