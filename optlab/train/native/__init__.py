"""Runs as C programs made from one run's own computation, on the CPU.

From the bottom: `graph` records a function as PyTorch's operations (`composites` taken apart, or
`refusals`), `lower` writes these (`elementwise`, `views`, `reductions`, `lookups`) as loops
(`nests`, `folds`) over `values` that lie in `memory`, results last (`outputs`), `function` compiles
and calls them, `programs` makes the functions that runs share of their `modules`, `run` knows the
addresses of one, and `backend` trains many.
"""

from optlab.train.native.backend import Native
from optlab.train.native.run import NotNative

__all__ = ["Native", "NotNative"]
