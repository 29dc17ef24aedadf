"""What a folder of runs says: cells ranked over seeds, as text, CSV and picture.

Reads records, or the tables of an earlier report: no model is built and torch is not imported.
"""

from optlab.report.report import Report, report

__all__ = ["Report", "report"]
