"""Runs that others recorded, read from TensorBoard's event files into records of optlab's kind."""

from optlab.report.foreign.runs import Imported, import_runs
from optlab.report.foreign.section import imported_sections

__all__ = ["Imported", "import_runs", "imported_sections"]
