"""Runs that others recorded, read from TensorBoard's event files into records of optlab's kind."""

from optlab.report.foreign.runs import Imported, import_runs

__all__ = ["Imported", "import_runs"]
