"""The report as one HTML file that works without a network."""

from optlab.report.html.page import write_page

__all__ = ["write_page"]
