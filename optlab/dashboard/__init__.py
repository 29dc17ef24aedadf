"""What TensorBoard shows of a sweep beside its runs, and TensorBoard itself.

A run writes its own event file while it trains (`optlab.loggers`). Here stand the things that can
only be said of all runs together, once they have ended: which hyperparameters vary, what the cells
did over their seeds, and charts of that. They are made of records alone, as a report is.
"""

from optlab.dashboard.dashboard import keep_current, refresh, write

__all__ = ["keep_current", "refresh", "write"]
