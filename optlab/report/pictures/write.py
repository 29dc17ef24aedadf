"""Figures to files."""

from collections.abc import Sequence
from pathlib import Path

from optlab.report.charts import Figure


def write_pictures(folder: str | Path, figures: Sequence[Figure]) -> list[Path]:
    """Draw figures into a folder, each as SVG and PNG."""
    return []
