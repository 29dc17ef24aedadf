"""Figures of a report as SVG and PNG."""

from optlab.report.pictures.write import write_pictures

__all__ = ["write_pictures"]
