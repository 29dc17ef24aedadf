"""Where a run's curves go: TensorBoard, a parquet table, the terminal. Imports no torch."""

from optlab.loggers.base import Logger

__all__ = ["Logger"]
