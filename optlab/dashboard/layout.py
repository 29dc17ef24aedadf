"""The charts of TensorBoard's page CUSTOM SCALARS: means of cells within their range over seeds."""

import re
from collections.abc import Collection, Sequence

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.plugins.custom_scalar import layout_pb2, metadata

from optlab.dashboard.axes import AXES, Axis
from optlab.dashboard.cell_curves import BAND, tag_of


def layout_value(drawn: Collection[tuple[Axis, str]], tags: Sequence[str]) -> Summary.Value:
    """Return the layout of the page.

    Args:
        drawn: Axes and tags of the cells' curves.
        tags: What the runs themselves recorded that is worth a chart.
    """
    axes = [axis for axis in AXES if any(axis == other for other, _ in drawn)]
    margins = [_margins(axis, [tag for other, tag in drawn if other == axis]) for axis in axes]
    for category in margins[1:]:
        category.closed = True
    layout = layout_pb2.Layout(category=[*margins, _lines(tags)])
    tensor = TensorProto(dtype="DT_STRING", string_val=[layout.SerializeToString()])
    return Summary.Value(
        tag=metadata.CONFIG_SUMMARY_TAG, tensor=tensor, metadata=metadata.create_summary_metadata()
    )


def _margins(axis: Axis, tags: Collection[str]) -> layout_pb2.Category:
    """Return a chart per tag, with a band for each cell."""
    chart = layout_pb2.MarginChartContent
    return layout_pb2.Category(
        title=f"cells {axis.title}",
        chart=[
            layout_pb2.Chart(
                title=f"{tag}: mean and range over seeds",
                margin=chart(series=[chart.Series(**_parts(tag, axis))]),
            )
            for tag in sorted(tags, reverse=True)  # the page shows the last one first
        ],
    )


def _parts(tag: str, axis: Axis) -> dict[str, str]:
    places = dict(zip(("value", "lower", "upper"), BAND, strict=True))
    return {place: tag_of(tag, axis, part) for place, part in places.items()}


def _lines(tags: Sequence[str]) -> layout_pb2.Category:
    """Return a chart per tag, with a line for each run."""
    return layout_pb2.Category(
        title="runs by updates",
        closed=True,
        chart=[
            layout_pb2.Chart(
                title=tag,
                multiline=layout_pb2.MultilineChartContent(tag=[f"^{re.escape(tag)}$"]),
            )
            for tag in sorted(tags, reverse=True)
        ],
    )
