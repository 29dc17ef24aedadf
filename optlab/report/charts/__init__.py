"""What figures show, and all that page and pictures draw alike."""

from optlab.report.charts.grammar import (
    Array,
    Axis,
    Chart,
    Field,
    Figure,
    Heatmap,
    Mark,
    Panels,
    Parallel,
    Scale,
    Series,
    Views,
)

__all__ = [
    "Array",
    "Axis",
    "Chart",
    "Field",
    "Figure",
    "Heatmap",
    "Mark",
    "Panels",
    "Parallel",
    "Scale",
    "Series",
    "Views",
]
